"""Interpreter sources, one module each, which defines `SOURCE`."""
