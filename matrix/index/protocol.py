"""The seam to the index: the only thing that planning knows of it."""

from __future__ import annotations

from typing import Protocol

from matrix.model.index import Project

__all__ = ["Index"]


class Index(Protocol):
    """Answers what releases a project has."""

    def project(self, name: str) -> Project:
        """Return all releases of `name`, yanked ones and pre-releases included.

        Raises `IndexUnavailableError` where neither the index nor a cache answers.
        """
        ...
