"""The seam between the search and what decides where it goes."""

from __future__ import annotations

from typing import Protocol

from matrix.searching.known import Known, Step

__all__ = ["Strategy"]


class Strategy(Protocol):
    """Decides from what is known alone: the same knowledge, the same step."""

    @property
    def name(self) -> str:
        """Return its name, for people."""
        ...

    def bound(self, releases: int) -> int:
        """Return how many of so many releases are asked about at most."""
        ...

    def step(self, known: Known) -> Step | None:
        """Return what to ask next, None where it is done. Never a release that was asked."""
        ...
