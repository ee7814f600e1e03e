"""The seam to what sends cells to workers: Dask, or a fake in tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from matrix.cluster.asked import Asked
from matrix.cluster.resources import Offer
from matrix.verify.seams import Ran

__all__ = ["Connect", "Done", "Failed", "Grid", "GridLostError", "Killed", "Outcome"]


class GridLostError(Exception):
    """The scheduler does not answer, or has gone."""


@dataclasses.dataclass(frozen=True)
class Killed:
    """The workers that had the cell died one after the other; the scheduler tries no more."""

    detail: str


@dataclasses.dataclass(frozen=True)
class Failed:
    """Something of ours went wrong on the worker, which was to answer in any case."""

    detail: str


Outcome = Ran | Killed | Failed
Done = Callable[[Outcome | GridLostError], None]
"""Takes how a cell ended, or that the connection was lost; called in any thread."""


class Grid(Protocol):
    """One connection to one scheduler; it does not come back when it is lost."""

    def offers(self) -> Sequence[Offer]:
        """Return all workers that there are now; raise GridLostError.

        One that is about to leave has no slots: it takes no cell, and ends those that it has.
        """
        ...

    def submit(self, asked: Asked, needs: Mapping[str, float], priority: int, done: Done) -> None:
        """Send a cell to a worker that has what it needs; raise GridLostError."""
        ...

    def end(self, run: str) -> None:
        """Forget all cells of a run; the workers put away what they have of it, as it is."""
        ...

    def close(self) -> None:
        """Leave the scheduler."""
        ...


Connect = Callable[[], Grid]
"""Connects to the scheduler; raises GridLostError soon where it does not answer."""
