"""The words of the field as frozen dataclasses; imports nothing else of the project."""
