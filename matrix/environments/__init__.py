"""Environments for cells: resolved as of a date, locked, built once and shared."""
