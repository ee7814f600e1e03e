"""The tasks that a run sends to a cluster, and the interface of the client that sends them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from matrix.distributed.dask.resources import WorkerOffer, cell_needs
from matrix.errors import UsageError
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.runs.interface import CellResult
from matrix.runs.setup import RunOptions

INSTALL_HINT = (
    "It is an optional extra: pip install 'compat-matrix[cluster]'. nox installs it by itself."
)
# https://distributed.dask.org/en/stable/communications.html
_SCHEMES = ("tcp", "tls", "ws", "wss")


@dataclasses.dataclass(frozen=True)
class CellTask:
    """One cell of the run `run`, for workers of the project's version `version`.

    `known` are the bases of results that the run has: a cell with one of them is not run. The
    worker replaces the number of jobs in `options`, which hold the passwords of external back ends.
    `engine` is the one that the user requires.
    """

    run: str
    version: str
    planned: PlannedCell
    known: frozenset[str]
    options: RunOptions
    engine: str = "auto"


@dataclasses.dataclass(frozen=True)
class TaskTemplate:
    """The parts that all tasks of a run have in common; `engine` is the one that the user requires.

    `contained` are the cells of claims about containers. `known` returns the bases of the
    results that the run has for a cell.
    """

    run: str
    version: str
    options: RunOptions
    engine: str
    contained: frozenset[Cell]
    known: Callable[[PlannedCell], frozenset[str]]

    def task(self, planned: PlannedCell) -> CellTask:
        """Return the task of a cell."""
        known = self.known(planned)
        return CellTask(self.run, self.version, planned, known, self.options, self.engine)

    def needs(self, planned: PlannedCell, available: Iterable[frozenset[str]]) -> dict[str, float]:
        """Return the resources that a cell needs, where workers have those of `available`."""
        contained = planned.cell in self.contained
        return cell_needs(planned, self.version, available, engine=self.engine, contained=contained)


class ClusterLostError(Exception):
    """The scheduler does not answer, or is gone."""


@dataclasses.dataclass(frozen=True)
class TaskKilled:
    """The workers that ran the cell died one after the other, and the scheduler gave up."""

    detail: str


@dataclasses.dataclass(frozen=True)
class TaskFailed:
    """An internal error on the worker, which should have returned a result in any case."""

    detail: str


Outcome = CellResult | TaskKilled | TaskFailed
OnDone = Callable[[Outcome | ClusterLostError], None]
"""Takes the outcome of a cell, or the loss of the connection; called in any thread."""


class TaskClient(Protocol):
    """One connection to one scheduler; a lost connection stays lost."""

    def offers(self) -> Sequence[WorkerOffer]:
        """Return all current workers; raise ClusterLostError.

        One that is about to leave has no slots: it takes no cell, and finishes those that it has.
        """
        ...

    def submit(
        self, task: CellTask, needs: Mapping[str, float], priority: int, on_done: OnDone
    ) -> None:
        """Send a cell to a worker that has what it needs; raise ClusterLostError."""
        ...

    def end(self, run: str) -> None:
        """Forget all cells of a run and end it on the workers."""
        ...

    def close(self) -> None:
        """Disconnect."""
        ...


Connect = Callable[[], TaskClient]
"""Connects to the scheduler; raises ClusterLostError soon where it does not answer."""


def check_address(address: str) -> None:
    """Raise UsageError for an invalid address of a scheduler."""
    scheme, separator, rest = address.partition("://")
    if scheme not in _SCHEMES or not separator or not rest:
        raise UsageError(
            f"invalid address {address!r} of a Dask scheduler (expected e.g. tcp://192.0.2.1:8786)"
        )
