"""Errors of documents that can be found without running anything."""
