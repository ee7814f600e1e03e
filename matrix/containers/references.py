"""How an engine is asked for an image of a registry."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["VARIABLE", "reference"]

VARIABLE = "COMPAT_MATRIX_REGISTRY"
"""Names another registry, or a mirror, with a path where it has one: `mirror.example:5000/library`.
Where it is not set, the engine goes where it goes for a name without a host."""


def reference(name: str, environ: Mapping[str, str]) -> str:
    """Return a name such as `python:3.11-slim` as an engine is to be asked for it."""
    prefix = environ.get(VARIABLE, "").removeprefix("http://").removeprefix("https://").rstrip("/")
    return f"{prefix}/{name}" if prefix else name
