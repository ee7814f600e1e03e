"""The run: environments ahead of cells, cells in plan order, verdicts as soon as they are known.

One thread, the caller's, takes every decision; it sleeps on a queue of messages. Builder threads
and the runner put messages there, and so does `stop`, which may be called from a signal handler.

A cell on its way through a run.

The cells that could run now, the first first.
"""

from __future__ import annotations

import dataclasses
import heapq
import queue
from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from matrix.environments.errors import BuildError
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import Plan, PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.builders import Builders, BuildResult
from matrix.runs.events import (
    CellFinished,
    CellStarted,
    ControlAdded,
    Emit,
    EnvironmentFailed,
    EnvironmentReady,
    Message,
    RunFinished,
    RunStarted,
    VerdictReached,
    WarningRaised,
)
from matrix.runs.failures import engine_of, failed_words, lacking_words, said_of, unseen, words_of
from matrix.runs.interfaces import Clock, Environments, FarRunner, RemoteResult, Runner
from matrix.runs.journal import Entry
from matrix.runs.keys import result_key
from matrix.runs.progress import Progress
from matrix.runs.record import CellRecord, Record
from matrix.runs.result_store import ResultStore

__all__ = ["QueuedCell", "ReadyQueue", "RunContext", "Scheduler"]


@dataclasses.dataclass
class QueuedCell:
    """`order` is the cell's place in the queue; `base` and `key` are those of its result."""

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

    @property
    def found(self) -> str:
        """Return the environment in words, "" where there is none."""
        return words_of(self.environment) if self.environment else ""

    def unseen(self, reason: Reason, detail: str, started: str = "") -> CellCapture:
        """Return the capture of a cell in which nothing was run, and why."""
        return unseen(self.planned, self.key, reason, detail, started)

    def record(self, entry: Entry, *, reused: bool) -> CellRecord:
        """Return the cell's end as the journal has it."""
        return CellRecord.of(entry, self.planned, reused=reused, fallback=self.fallback)


class ReadyQueue:
    """Cells by their order. Of those for `emulated` targets `most` run at a time: others wait for
    half of their time, these compute for all of it, and slow each other down to their time limits.
    """

    def __init__(self, emulated: frozenset[str], most: int) -> None:
        self._emulated = emulated
        self._most = most
        self._fast: list[tuple[int, QueuedCell]] = []
        self._slow: list[tuple[int, QueuedCell]] = []

    def put(self, item: QueuedCell) -> None:
        """Take a cell in; no other has its order."""
        heapq.heappush(self._slow if self._is_slow(item) else self._fast, (item.order, item))

    def take(self, running: Iterable[QueuedCell]) -> QueuedCell | None:
        """Take the first cell out that may run beside those that are; None where there is none."""
        slow = self._slow
        if slow and sum(map(self._is_slow, running)) >= self._most:
            slow = []
        first = min((heap for heap in (self._fast, slow) if heap), default=None)
        return heapq.heappop(first)[1] if first else None

    def _is_slow(self, item: QueuedCell) -> bool:
        return item.planned.cell.target in self._emulated


@dataclasses.dataclass(frozen=True)
class RunContext:
    """Everything outside; `jobs` cells run and `builders` environments are made at a time.

    `engine` is the container engine's name, "" where cells run on this machine. Of the cells for
    `emulated` targets no more than `emulated_jobs` run at a time: they do not wait, they compute.

    Where `far` is given, cells run on other machines, which find the environments, too: both
    `environments` and `runner` are None. `place` says in words where that is.
    """

    environments: Environments | None
    runner: Runner | None
    clock: Clock
    jobs: int = 2
    builders: int = 2
    engine: str = ""
    emulated: frozenset[str] = frozenset()
    emulated_jobs: int = 1
    far: FarRunner | None = None
    place: str = ""


@dataclasses.dataclass(frozen=True)
class _Stop:
    """Asks the loop to end."""


_Running = Future[CellCapture] | Future[RemoteResult]
_Message = BuildResult | _Running | Message | _Stop

# Reasons of one cell that say that what runs all of them is gone, and what that is.
_LOST = {Reason.ENGINE_LOST: "container engine", Reason.CLUSTER_LOST: "cluster"}


class Scheduler:
    """One run of one plan; `run` is called once."""

    def __init__(
        self,
        plan: Plan,
        probes: Mapping[str, Probe],
        world: RunContext,
        keeping: ResultStore,
        emit: Emit,
    ) -> None:
        self._plan = plan
        self._probes = probes
        self._world = world
        self._keeping = keeping
        self._emit = emit
        self._progress = Progress(plan)
        # Reentrant: a signal handler may put while the loop gets.
        self._messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._items: dict[int, QueuedCell] = {}
        self._ready = ReadyQueue(world.emulated, world.emulated_jobs)
        self._running: dict[_Running, QueuedCell] = {}
        self._records: list[CellRecord] = []
        self._warnings: dict[str, None] = {}
        self._interrupted = False
        self._lost, self._lost_to = "", Reason.ENGINE_LOST
        self._builders = world.environments and Builders(
            world.environments,
            self._messages.put,
            world.clock,
            world.builders,
            self._told,
        )

    def stop(self) -> None:
        """End the run soon, keeping what is done; safe in a signal handler and in any thread."""
        self._messages.put(_Stop())

    def run(self) -> Record:
        """Run the plan to its end or until `stop`; return what was found."""
        started, start = self._world.clock.now(), self._world.clock.seconds()
        world = self._world
        self._emit(RunStarted(self._plan, world.jobs, world.engine, world.place))
        for remark in self._keeping.remarks:
            self._warn(remark)
        try:
            self._reach(claim.id for claim in self._plan.claims)
            self._take_in(self._plan.cells, fallback=False)
            while self._items and not self._interrupted and not self._lost:
                self._start_cells()
                self._handle(self._messages.get())
        finally:
            if self._builders:
                self._builders.stop()
            if self._items and (runner := world.far or world.runner):
                runner.kill()
        self._give_up()
        verdicts, late = self._progress.finish()
        for verdict in late:
            self._emit(VerdictReached(verdict))
        self._emit(RunFinished(self._interrupted))
        return Record.of(
            self._plan,
            tuple(self._records),
            verdicts,
            started,
            self._world.clock.seconds() - start,
            interrupted=self._interrupted,
            warnings=tuple(self._warnings),
            lost=self._lost,
            lost_to=self._lost_to,
        )

    def _take_in(self, cells: Iterable[PlannedCell], *, fallback: bool) -> None:
        """Answer from earlier runs what can be, and ask for the environments of the rest."""
        new = []
        for planned in cells:
            order = len(self._records) + len(self._items)
            # Controls that a claim waits for go before what has not begun.
            item = QueuedCell(-order if fallback else order, planned, fallback)
            self._items[item.order] = item
            new.append(item)
        if self._world.far is not None:
            for item in new:
                self._ready.put(item)
            return
        wanted = []
        environments, builders = self._world.environments, self._builders
        assert environments and builders  # noqa: S101, PT018 - the cells are run here
        for item in new:
            try:
                item.environment = environments.peek(item.planned)
                name = "" if item.environment else environments.name(item.planned)
            except BuildError as error:
                # Written down like all others, so that a journal tells of every cell that ended.
                self._named(item, lacking_words(error.reason))
                self._fail(item, error)
                continue
            if not self._reused(item, name):
                wanted.append(item)
        for item in wanted:
            if item.environment is not None:
                self._ready.put(item)
            else:
                builders.want(item.order, item.planned)

    def _reused(self, item: QueuedCell, name: str = "") -> bool:
        """Answer the cell from the journal where it can be; `name` stands for no environment."""
        self._named(item, item.found or failed_words(name))
        entry = self._keeping.find(item.base, item.planned, self._probes)
        if entry is None:
            return False
        self._record(item.record(entry, reused=True), item)
        return True

    def _named(self, item: QueuedCell, environment: str, base: str = "") -> None:
        """Give the cell the key of its results in an environment, told in words or by `base`."""
        item.base = base or self._keeping.base(item.planned, environment)
        item.key = result_key(item.base, item.planned, self._probes)

    def _start_cells(self) -> None:
        while len(self._running) < self._world.jobs:
            item = self._ready.take(self._running.values())
            if item is None:
                return
            future = self._begin(item)
            self._running[future] = item
            future.add_done_callback(self._messages.put)

    def _begin(self, item: QueuedCell) -> _Running:
        if self._world.far is not None:
            # When it begins is for the others to say.
            return self._world.far.submit(item.order, item.planned, self._told)
        assert self._world.runner and item.environment  # noqa: S101, PT018 - only such are ready
        self._emit(CellStarted(item.id))
        return self._world.runner.submit(item.planned, item.environment, item.key)

    def _handle(self, message: _Message) -> None:
        if isinstance(message, _Stop):
            self._interrupted = True
        elif isinstance(message, Message):
            self._emit(message)
        elif isinstance(message, BuildResult):
            self._built(message)
        else:
            item, ended = self._running.pop(message), message.result()
            if isinstance(ended, RemoteResult):
                self._came_back(item, ended)
            else:
                self._finish(item, ended)

    def _built(self, built: BuildResult) -> None:
        item = self._items[built.order]
        if built.failure is not None:
            self._emit(EnvironmentFailed(item.id, built.failure.reason, built.failure.detail))
            self._fail(item, built.failure)
            return
        self._emit(EnvironmentReady(item.id, built.seconds))
        item.environment = built.environment
        if not self._reused(item):
            self._ready.put(item)

    def _came_back(self, item: QueuedCell, ran: RemoteResult) -> None:
        """Take what another machine made of a cell, or answer it from the journal as it says."""
        if ran.instead:
            self._warn(ran.instead)
        reason = (ran.capture and ran.capture.failed) or Reason.INTERNAL_ERROR
        self._named(item, lacking_words(reason), ran.base)
        if ran.capture is None:
            entry = self._keeping.find(item.base, item.planned, self._probes)
            if entry is not None:
                self._record(item.record(entry, reused=True), item)
                return
        capture = ran.capture or item.unseen(reason, "its result was taken for one that is known")
        self._keep(item, dataclasses.replace(capture, key=item.key))

    def _fail(self, item: QueuedCell, error: BuildError) -> None:
        """Record a cell that has no environment."""
        started = self._world.clock.now().isoformat(timespec="seconds")
        self._finish(item, item.unseen(error.reason, said_of(error), started))

    def _finish(self, item: QueuedCell, capture: CellCapture) -> None:
        """Take a cell that ended here."""
        engine = engine_of(item.environment, self._world.engine)
        self._keep(item, dataclasses.replace(capture, engine=engine))

    def _keep(self, item: QueuedCell, capture: CellCapture) -> None:
        if capture.failed in _LOST:
            # Nothing is told of the cell. The others would wait as long, one after the other.
            if not self._lost:
                self._lost, self._lost_to = capture.detail or "it does not answer", capture.failed
            return
        entry, warning = self._keeping.keep(capture, item.base, item.planned, self._probes)
        if warning:
            self._warn(warning)
        self._record(item.record(entry, reused=False), item)

    def _record(self, record: CellRecord, item: QueuedCell) -> None:
        del self._items[item.order]
        self._records.append(record)
        if item.environment is not None and item.environment.instead:
            self._warn(item.environment.instead)
        for finding in record.findings:
            self._progress.known.add(finding, contained=record.contained)
        self._emit(
            CellFinished(record.id, record.reason, record.detail, record.seconds, record.reused)
        )
        claims = self._progress.end(item.planned)
        for claim in claims:
            for control in self._progress.controls_for(claim):
                self._emit(ControlAdded(control.cell.id, claim))
                self._take_in((control,), fallback=True)
        self._reach(claims)

    def _reach(self, claims: Iterable[str]) -> None:
        for verdict in self._progress.reach(claims):
            self._emit(VerdictReached(verdict))

    def _give_up(self) -> None:
        """Let the cells that did not end say so, without keeping that."""
        reason, said = Reason.INTERRUPTED, "the run was stopped"
        if self._lost and self._items:
            reason, said = self._lost_to, self._lost
            self._warn(f"the {_LOST[reason]} was lost ({said}): {len(self._items)} cells not run")
        for item in sorted(self._items.values(), key=lambda item: item.order):
            capture = item.unseen(reason, said)
            for finding in self._keeping.judge(capture, item.planned.probes, self._probes):
                self._progress.known.add(finding)
            self._records.append(
                CellRecord(
                    cell=item.planned.cell,
                    probes=item.planned.probes,
                    reason=reason,
                    detail=capture.detail,
                    seconds=0.0,
                    reused=False,
                    fallback=item.fallback,
                    key=item.key,
                    started="",
                    findings=(),
                )
            )
        self._items.clear()

    def _told(self, text: str) -> None:
        self._messages.put(Message(text))

    def _warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings[message] = None
            self._emit(WarningRaised(message))
