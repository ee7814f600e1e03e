"""Environments: locks as of a date, and what is built from them for interpreters and images."""
