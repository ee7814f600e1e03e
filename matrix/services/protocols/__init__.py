"""Readiness checks, one module per protocol; each defines `identify`."""
