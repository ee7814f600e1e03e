"""Probes of capabilities, one module each; each defines `PROBE`."""
