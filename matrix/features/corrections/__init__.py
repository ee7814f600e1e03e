"""Corrections: diffs that change what the evidence refutes in a document."""
