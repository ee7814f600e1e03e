"""Simulated machines that take as long for a cell as recorded ones did, in simulated time.

The project's own queue of a cluster decides which cell goes next (`PendingQueue`); each machine is
a worker that runs one cell at a time.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
import math
import queue
import random
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from matrix.distributed.dask.interface import TaskTemplate
from matrix.distributed.dask.queue import PendingCell, PendingQueue
from matrix.distributed.dask.resources import (
    WorkerOffer,
    contained_cells,
    resource_sets,
    worker_resources,
)
from matrix.distributed.durations import Durations
from matrix.model.capture import CellCapture
from matrix.model.plan import Plan, PlannedCell
from matrix.planning.locations import Targets
from matrix.runs.interface import CellRequest, CellResult, Report
from matrix.runs.setup import RunOptions

__all__ = ["KINDS", "Machines", "Mailbox", "RecordedDurations", "distribute_machines"]

# The kinds of machines, as in the scheduled run, and the targets that each of them can run.
KINDS: Mapping[str, tuple[str, ...]] = {
    "linux x86": ("linux_x86_64", "linux_i686"),
    "linux arm64": ("linux_aarch64",),
    "macos x86": ("macosx_x86_64",),
    "macos arm64": ("macosx_arm64",),
    "windows": ("win_amd64", "win32"),
}
_KIND_OF = {target: kind for kind, targets in KINDS.items() for target in targets}
_VERSION = "0" * 64
# The spread of the cells of one library where only their mean is known.
_SPREAD = 0.7


class RecordedDurations:
    """Seconds of cells: drawn from recorded cells of the same framework or library, or, where there
    are none, around the expected seconds of such a cell.
    """

    def __init__(
        self, durations: Durations, by_framework: Mapping[str, Sequence[float]], seed: int
    ) -> None:
        self._durations = durations
        self._by_framework = by_framework
        self._seed = seed

    def draw(self, planned: PlannedCell) -> float:
        """Return the seconds of a cell, the same for every call."""
        generator = random.Random(f"{self._seed} {planned.cell.id}")  # noqa: S311 - no secret
        if seconds := self._by_framework.get(planned.cell.framework):
            return generator.choice(seconds)
        return self.expected(planned) * generator.lognormvariate(-_SPREAD * _SPREAD / 2, _SPREAD)

    def expected(self, planned: PlannedCell) -> float:
        """Return the mean seconds of such a cell."""
        if seconds := self._by_framework.get(planned.cell.framework):
            return math.fsum(seconds) / len(seconds)
        return self._durations.estimate(planned)


def distribute_machines(
    cells: Iterable[PlannedCell], count: int, recorded: RecordedDurations
) -> dict[str, int]:
    """Return how many of `count` machines are of each kind: by their work, at least one of each.

    They go one by one to the kind with the most work for each of its machines.
    """
    work = dict.fromkeys(KINDS, 0.0)
    for planned in cells:
        work[_KIND_OF[planned.cell.target]] += recorded.expected(planned)
    machines = {kind: 1 for kind in KINDS if work[kind]}
    for _ in range(count - len(machines)):
        machines[max(machines, key=lambda kind: work[kind] / machines[kind])] += 1
    return machines


@dataclasses.dataclass(frozen=True)
class _SentCell:
    pending: PendingCell
    at: float


class Machines:
    """A `Runner` and a `Clock`: cells are sent as to a cluster, the first that fits first.

    Of the cells that begin, `failing` (0 to 1) are lost with their machine before they end: they
    are run again, and the machine is back after `away` seconds. `tending` is the number of seconds
    that the scheduler is busy with each result; others are sent meanwhile.
    """

    def __init__(
        self,
        plan: Plan,
        machines: Mapping[str, int],
        recorded: RecordedDurations,
        *,
        failing: float = 0.0,
        away: float = 60.0,
        tending: float = 0.0,
        seed: int = 1,
    ) -> None:
        self._recorded = recorded
        self._failing, self._away, self._tending = failing, away, tending
        self._generator = random.Random(seed)  # noqa: S311 - no secret
        contained = contained_cells(plan)
        self._template = TaskTemplate(
            "run", _VERSION, RunOptions(jobs=1), "auto", contained, lambda _: frozenset()
        )
        offers = _offers(plan, machines)
        self._available = resource_sets(offers, _VERSION)
        self._cells = PendingQueue()
        self._cells.offer(offers)
        self._free = dict(machines)
        self._queued: dict[str, deque[_SentCell]] = {kind: deque() for kind in machines}
        self._events: list[tuple[float, int, str, PendingCell | None]] = []
        self._back: deque[tuple[float, PendingCell]] = deque()
        self._number = 0
        self._now = 0.0  # of the scheduler
        self._submitted = False
        self._work = dict.fromkeys(machines, 0.0)
        self.longest = 0.0
        self.lost = 0
        self.most_back = 0
        self.busy = 0.0  # real seconds spent here, not in the scheduler

    def now(self) -> dt.datetime:
        """Return the time of day there."""
        return dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=self._now)

    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return self._now

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:
        """Run a cell as soon as a machine that can run it is free."""
        planned = request.planned
        pending = PendingCell(request.order, self._template.task(planned), Future())
        self._cells.put(pending, self._template.needs(planned, self._available))
        self._submitted = True
        return pending.future

    def kill(self) -> None:
        """Do nothing: no simulated run is stopped."""

    def work(self) -> Mapping[str, float]:
        """Return the seconds that the machines of each kind have run cells or were away."""
        work = dict(self._work)
        for when, _, kind, _pending in self._events:
            work[kind] -= max(0.0, when - self._now)
        return work

    def advance(self) -> None:
        """Advance to when the scheduler handles the next result, and pass it that result."""
        if self._submitted:
            self._submitted = False
            self._send(self._now)
        # All cells that end until the scheduler has time for a result; the first one is next.
        while self._events and (not self._back or self._events[0][0] <= self._now):
            when, _, kind, pending = heapq.heappop(self._events)
            self._free[kind] += 1
            if pending is not None:
                self._cells.end(pending.order)
                self._back.append((when, pending))
            self._send(when)
            self._begin(kind, when)
        self.most_back = max(self.most_back, len(self._back))
        when, pending = self._back.popleft()
        self._now = max(self._now, when) + self._tending
        pending.future.set_result(CellResult(_empty_capture(pending), "base"))

    def _send(self, at: float) -> None:
        for pending, _needs in self._cells.take():
            kind = _KIND_OF[pending.task.planned.cell.target]
            self._queued[kind].append(_SentCell(pending, at))
            self._begin(kind, at)

    def _begin(self, kind: str, at: float) -> None:
        """Start the first of the sent cells where a machine is free."""
        start = time.perf_counter()
        if self._free[kind] and self._queued[kind]:
            self._free[kind] -= 1
            sent = self._queued[kind].popleft()
            at = max(at, sent.at)
            spent = seconds = self._recorded.draw(sent.pending.task.planned)
            if self._generator.random() < self._failing:
                spent = seconds * self._generator.random()
                self.lost += 1
                self._queued[kind].appendleft(sent)
                spent += self._away
                self._end(at + spent, kind, None)
            else:
                self.longest = max(self.longest, seconds)
                self._end(at + spent, kind, sent.pending)
            self._work[kind] += spent
        self.busy += time.perf_counter() - start

    def _end(self, when: float, kind: str, pending: PendingCell | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, kind, pending))


class Mailbox(queue.SimpleQueue[Any]):
    """The scheduler's queue of messages: where it would wait, the simulated time advances."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines

    def get(self, block: bool = True, timeout: float | None = None) -> Any:  # noqa: ANN401
        """Return the next message."""
        if self.empty():
            self._machines.advance()
        return super().get(block, timeout)


def _offers(plan: Plan, machines: Mapping[str, int]) -> list[WorkerOffer]:
    pythons: dict[str, set[str]] = {}
    for planned in plan.cells:
        pythons.setdefault(planned.cell.target, set()).add(planned.cell.python)
    offers = []
    for kind, count in machines.items():
        engine = "docker" if kind.startswith("linux") else ""
        resources = worker_resources(Targets(engine, KINDS[kind]), pythons, 1, 1, _VERSION)
        offers += [WorkerOffer(f"{kind} {number}", 1, resources) for number in range(count)]
    return offers


def _empty_capture(pending: PendingCell) -> CellCapture:
    return CellCapture(
        cell=pending.task.planned.cell.id,
        key="",
        identity=None,
        lock=(),
        processes=(),
        started="",
        seconds=0.0,
    )
