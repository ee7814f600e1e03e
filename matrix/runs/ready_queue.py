"""Cells of a run that have not ended, and the queue of those that can run now."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Iterable

from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell

_LAST = 1 << 40
"""Added to the order of cells that nobody needs any more."""


@dataclasses.dataclass
class QueuedCell:
    """A cell that has not ended; `order` is its place in the queue.

    `base` and `key` are those of its result, "" until its environment is known.
    """

    order: int
    planned: PlannedCell
    fallback: bool
    base: str = ""
    key: str = ""
    environment: Environment | None = None

    @property
    def id(self) -> str:
        """Return the cell's id."""
        return self.planned.cell.id


class ReadyQueue:
    """Cells that can run now, by their order; those that nobody needs any more come last.

    At most `emulated_jobs` cells for `emulated` targets run at a time: other cells wait for half of
    their time, these compute all the time, and slow each other down until they time out.
    """

    def __init__(
        self,
        emulated: frozenset[str],
        emulated_jobs: int,
        is_needed: Callable[[PlannedCell], bool] = lambda _planned: True,
    ) -> None:
        self._emulated = emulated
        self._is_needed = is_needed
        self._emulated_jobs = emulated_jobs
        self._fast: list[tuple[int, QueuedCell]] = []
        self._slow: list[tuple[int, QueuedCell]] = []

    def put(self, cell: QueuedCell) -> None:
        """Add a cell; its order is unique."""
        heapq.heappush(self._slow if self._is_slow(cell) else self._fast, (cell.order, cell))

    def take(self, running: Iterable[QueuedCell]) -> QueuedCell | None:
        """Remove and return the first cell that may run beside those that run; None without one."""
        slow = self._slow
        if slow and sum(map(self._is_slow, running)) >= self._emulated_jobs:
            slow = []
        while heap := min((heap for heap in (self._fast, slow) if heap), default=None):
            order, cell = heapq.heappop(heap)
            if order >= _LAST or self._is_needed(cell.planned):
                return cell
            heapq.heappush(heap, (order + _LAST, cell))
        return None

    def _is_slow(self, cell: QueuedCell) -> bool:
        return cell.planned.cell.target in self._emulated
