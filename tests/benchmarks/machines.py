"""Machines that take as long for a cell as recorded ones did, in a time of their own.

Which cell goes next is for the project's own books of a cluster (`cluster/outstanding.py`), where
each machine is a worker that runs one cell at a time.
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

from matrix.distributed.dask.queue import PendingCell, PendingQueue
from matrix.distributed.dask.resources import WorkerOffer, contained_cells, held_by, offered
from matrix.distributed.dask.task import TaskTemplate
from matrix.distributed.durations import Durations
from matrix.model.capture import CellCapture
from matrix.model.plan import Plan, PlannedCell
from matrix.planning.locations import Targets
from matrix.runs.interfaces import RemoteResult, Tell
from matrix.runs.setup import SetupOptions

__all__ = ["KINDS", "Machines", "Mailbox", "Recorded", "shared_out"]

# What machines there are, as those of the scheduled run, and which targets each of them can run.
KINDS: Mapping[str, tuple[str, ...]] = {
    "linux x86": ("linux_x86_64", "linux_i686"),
    "linux arm64": ("linux_aarch64",),
    "macos x86": ("macosx_x86_64",),
    "macos arm64": ("macosx_arm64",),
    "windows": ("win_amd64", "win32"),
}
_KIND_OF = {target: kind for kind, targets in KINDS.items() for target in targets}
_VERSION = "0" * 64
# How much the cells of one library differ: where only their mean is known.
_SPREAD = 0.7


class Recorded:
    """Seconds of cells: drawn from those of recorded cells of the same framework or library, or,
    where no recorded cells are given, around what such a cell is expected to take.
    """

    def __init__(
        self, durations: Durations, by_framework: Mapping[str, Sequence[float]], seed: int
    ) -> None:
        self._durations = durations
        self._by_framework = by_framework
        self._seed = seed

    def of(self, planned: PlannedCell) -> float:
        """Return how long a cell takes: the same whoever asks, and when."""
        drawn = random.Random(f"{self._seed} {planned.cell.id}")  # noqa: S311 - no secret
        if some := self._by_framework.get(planned.cell.framework):
            return drawn.choice(some)
        return self.expected(planned) * drawn.lognormvariate(-_SPREAD * _SPREAD / 2, _SPREAD)

    def expected(self, planned: PlannedCell) -> float:
        """Return how long it takes in the mean."""
        if some := self._by_framework.get(planned.cell.framework):
            return math.fsum(some) / len(some)
        return self._durations.of(planned)


def shared_out(cells: Iterable[PlannedCell], count: int, recorded: Recorded) -> dict[str, int]:
    """Return how many of `count` machines are of which kind: by their work, at least one of each.

    They are given one by one to the kind that has most to do for each of its machines.
    """
    work = dict.fromkeys(KINDS, 0.0)
    for planned in cells:
        work[_KIND_OF[planned.cell.target]] += recorded.expected(planned)
    machines = {kind: 1 for kind in KINDS if work[kind]}
    for _ in range(count - len(machines)):
        machines[max(machines, key=lambda kind: work[kind] / machines[kind])] += 1
    return machines


@dataclasses.dataclass(frozen=True)
class _Sent:
    wanted: PendingCell
    at: float


class Machines:
    """A `FarRunner` and a `Clock`: cells are sent as to a cluster, the first that fits first.

    Of the cells that begin, `failing` (0 to 1) are lost with their machine before they end: they
    are run again, and the machine is back after `away` seconds. `tending` is how many seconds
    whoever sends the cells is busy with each that came back; others are sent meanwhile.
    """

    def __init__(
        self,
        plan: Plan,
        machines: Mapping[str, int],
        recorded: Recorded,
        *,
        failing: float = 0.0,
        away: float = 60.0,
        tending: float = 0.0,
        seed: int = 1,
    ) -> None:
        self._recorded = recorded
        self._failing, self._away, self._tending = failing, away, tending
        self._drawn = random.Random(seed)  # noqa: S311 - no secret
        contained = contained_cells(plan)
        self._terms = TaskTemplate(
            "run", _VERSION, SetupOptions(1), "auto", contained, lambda _: frozenset()
        )
        offers = _offers(plan, machines)
        self._held = held_by(offers, _VERSION)
        self._cells = PendingQueue()
        self._cells.offer(offers)
        self._free = dict(machines)
        self._queued: dict[str, deque[_Sent]] = {kind: deque() for kind in machines}
        self._events: list[tuple[float, int, str, PendingCell | None]] = []
        self._back: deque[tuple[float, PendingCell]] = deque()
        self._number = 0
        self._now = 0.0  # of whoever sends the cells
        self._asked = False
        self._work = dict.fromkeys(machines, 0.0)
        self.longest = 0.0
        self.lost = 0
        self.most_back = 0
        self.busy = 0.0  # real seconds spent here, which are not the engine's

    def now(self) -> dt.datetime:
        """Return the time of day there."""
        return dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(seconds=self._now)

    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return self._now

    def submit(self, order: int, planned: PlannedCell, tell: Tell) -> Future[RemoteResult]:
        """Let a cell run as soon as a machine is free that can run it."""
        wanted = PendingCell(order, self._terms.ask(planned), Future())
        self._cells.put(wanted, self._terms.needs(planned, self._held))
        self._asked = True
        return wanted.future

    def kill(self) -> None:
        """Do nothing: no simulated run is stopped."""

    def work(self) -> Mapping[str, float]:
        """Return for how many seconds the machines of each kind have run cells or were away."""
        found = dict(self._work)
        for when, _, kind, _wanted in self._events:
            found[kind] -= max(0.0, when - self._now)
        return found

    def advance(self) -> None:
        """Go on to where the next cell is taken in by the engine, and let it have that."""
        if self._asked:
            self._asked = False
            self._send(self._now)
        # All that ends until the engine has time for the next; what ended first is the next.
        while self._events and (not self._back or self._events[0][0] <= self._now):
            when, _, kind, wanted = heapq.heappop(self._events)
            self._free[kind] += 1
            if wanted is not None:
                self._cells.end(wanted.order)
                self._back.append((when, wanted))
            self._send(when)
            self._begin(kind, when)
        self.most_back = max(self.most_back, len(self._back))
        when, wanted = self._back.popleft()
        self._now = max(self._now, when) + self._tending
        wanted.future.set_result(RemoteResult("base", _empty(wanted)))

    def _send(self, at: float) -> None:
        for wanted, _needs in self._cells.take():
            kind = _KIND_OF[wanted.asked.planned.cell.target]
            self._queued[kind].append(_Sent(wanted, at))
            self._begin(kind, at)

    def _begin(self, kind: str, at: float) -> None:
        """Begin the first cell of those sent where a machine is free."""
        start = time.perf_counter()
        if self._free[kind] and self._queued[kind]:
            self._free[kind] -= 1
            sent = self._queued[kind].popleft()
            at = max(at, sent.at)
            spent = seconds = self._recorded.of(sent.wanted.asked.planned)
            if self._drawn.random() < self._failing:
                spent = seconds * self._drawn.random()
                self.lost += 1
                self._queued[kind].appendleft(sent)
                spent += self._away
                self._end(at + spent, kind, None)
            else:
                self.longest = max(self.longest, seconds)
                self._end(at + spent, kind, sent.wanted)
            self._work[kind] += spent
        self.busy += time.perf_counter() - start

    def _end(self, when: float, kind: str, wanted: PendingCell | None) -> None:
        self._number += 1
        heapq.heappush(self._events, (when, self._number, kind, wanted))


class Mailbox(queue.SimpleQueue[Any]):
    """The engine's queue of messages: where it would wait, the simulated time goes on."""

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
    found = []
    for kind, count in machines.items():
        engine = "docker" if kind.startswith("linux") else ""
        resources = offered(Targets(engine, KINDS[kind]), pythons, 1, 1, _VERSION)
        found += [WorkerOffer(f"{kind} {number}", 1, resources) for number in range(count)]
    return found


def _empty(wanted: PendingCell) -> CellCapture:
    return CellCapture(
        cell=wanted.asked.planned.cell.id,
        key="",
        identity=None,
        lock=(),
        processes=(),
        started="",
        seconds=0.0,
    )
