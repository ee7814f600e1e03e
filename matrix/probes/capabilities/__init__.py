"""Probes of capabilities: one module each, which defines `PROBE`."""
