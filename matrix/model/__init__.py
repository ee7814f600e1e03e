"""Frozen dataclasses of the field; imports nothing else of the project."""
