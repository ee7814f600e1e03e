"""What a run asks of a cluster, cell by cell: plain values that are sent to workers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from matrix.distributed.dask.resources import needs_of
from matrix.model.plan import PlannedCell
from matrix.runs.setup import SetupOptions

__all__ = ["Task", "TaskTemplate"]


@dataclasses.dataclass(frozen=True)
class Task:
    """One cell of the run `run`, for workers of the project's version `version`.

    `known` are the bases of results that the asker has: where the cell's is one of them, the cell
    is not run. Of `how` the cells at a time are the worker's own matter. Passwords of back ends
    that were given are in it. `engine` is what the user demands, as in `TaskTemplate`.
    """

    run: str
    version: str
    planned: PlannedCell
    known: frozenset[str]
    how: SetupOptions
    engine: str = "auto"


@dataclasses.dataclass(frozen=True)
class TaskTemplate:
    """What is the same for all cells of a run; `engine` is what the user demands of workers.

    `contained` are the ids of cells that promises about containers are answered by. `known` returns
    the bases of the results that there are of a cell.
    """

    run: str
    version: str
    how: SetupOptions
    engine: str
    contained: frozenset[str]
    known: Callable[[PlannedCell], frozenset[str]]

    def ask(self, planned: PlannedCell) -> Task:
        """Return the question for a cell."""
        known = self.known(planned)
        return Task(self.run, self.version, planned, known, self.how, self.engine)

    def needs(self, planned: PlannedCell, held: Iterable[frozenset[str]]) -> dict[str, float]:
        """Return the resources that a cell asks for, where workers have those of `held`."""
        contained = planned.cell.id in self.contained
        return needs_of(planned, self.version, held, engine=self.engine, contained=contained)
