"""A cluster without Dask: real worker runs behind a client that loses its connection on request."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from helpers.run_fakes import PROBES, FakeClock, FakeEnvironments, FakeRunner, capture
from matrix.distributed.dask.interface import (
    CellTask,
    ClusterLostError,
    OnDone,
    Outcome,
    TaskTemplate,
)
from matrix.distributed.dask.resources import WorkerOffer, contained_cells, worker_resources
from matrix.distributed.dask.runner import ClusterRunner, ClusterTimeouts
from matrix.distributed.dask.worker_run import OpenContext, WorkerRun
from matrix.model.plan import Plan
from matrix.planning.locations import Targets
from matrix.runs.events import CellFinished, Event
from matrix.runs.interface import RunContext
from matrix.runs.journal import Entry, Journal
from matrix.runs.keys import judge_key
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore, ResultStore
from matrix.runs.scheduler import Scheduler
from matrix.runs.setup import RunOptions

VERSION = "0123456789abcdef"
SOURCES = "code"
TIMEOUTS = ClusterTimeouts(poll=0.005, fitting=60, scheduler=30)
LINUX = Targets("", ("linux_x86_64",))


def offer(
    number: int = 1,
    jobs: int = 2,
    where: Targets = LINUX,
    version: str = VERSION,
    pythons: Iterable[str] = ("3.9",),
) -> WorkerOffer:
    by_target = dict.fromkeys(where.targets, tuple(pythons))
    resources = worker_resources(where, by_target, jobs, 1, version)
    return WorkerOffer(f"tcp://192.0.2.{number}:1", jobs, resources)


def local_context(
    runner: FakeRunner, environments: FakeEnvironments | None = None, engine: str = ""
) -> Callable[[Path], contextlib.AbstractContextManager[RunContext]]:
    """Return a function that opens a worker's own context, with fakes behind the same interfaces
    as in a run on one machine.
    """
    context = RunContext(environments or FakeEnvironments(), runner, FakeClock(), engine=engine)
    return lambda _folder: contextlib.nullcontext(context)


def worker_run(
    bodies: Mapping[str, str], environments: FakeEnvironments | None = None, engine: str = ""
) -> WorkerRun:
    """Return a worker's run, whose cells respond with these bodies."""
    runner = FakeRunner(lambda cell, key: capture(cell, key, body=bodies[cell]))
    return open_run(local_context(runner, environments, engine))


def open_run(open_context: OpenContext) -> WorkerRun:
    """Return a worker's run with a folder that it removes."""
    return WorkerRun(Path(tempfile.gettempdir()), open_context, SOURCES, PROBES)


class FakeTaskClient:
    """A client whose cells end at once with what `run` returns; None leaves a cell at a worker."""

    def __init__(
        self, run: Callable[[CellTask], Outcome | None], offers: Sequence[WorkerOffer] = (offer(),)
    ) -> None:
        self.run = run
        self.workers = tuple(offers)
        self.sent: list[CellTask] = []
        self.needs: list[dict[str, float]] = []
        self.at_workers: dict[str, OnDone] = {}
        self.most = 0
        self.lost = False
        self.ended: list[str] = []
        self.closed = False

    def offers(self) -> Sequence[WorkerOffer]:
        self._check()
        return self.workers

    def submit(
        self, task: CellTask, needs: Mapping[str, float], priority: int, on_done: OnDone
    ) -> None:
        self._check()
        self.sent.append(task)
        self.needs.append(dict(needs))
        self.at_workers[task.planned.cell.id] = on_done
        self.most = max(self.most, len(self.at_workers))
        outcome = self.run(task)
        if outcome is not None:
            self.finish(task.planned.cell.id, outcome)

    def finish(self, cell: str, outcome: Outcome) -> None:
        self.at_workers.pop(cell)(outcome)

    def lose(self) -> None:
        """Let the scheduler die: every cell that was sent ends with the loss of the connection."""
        self.lost = True
        for on_done in list(self.at_workers.values()):
            on_done(ClusterLostError("gone"))

    def end(self, run: str) -> None:
        self.ended.append(run)

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.lost:
            raise ClusterLostError("gone")


class ClusterRun:
    """A run of a plan with fake clients: the first at once, each other after a lost connection."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        *clients: FakeTaskClient,
        fresh: bool = False,
        timeouts: ClusterTimeouts = TIMEOUTS,
    ) -> None:
        self.plan = plan
        self.events: list[Event] = []
        self.path = folder / "journal.jsonl"
        self.journal = Journal(self.path)
        judge = judge_key(SOURCES, PROBES)
        store = ResultStore(
            self.journal, CaptureStore(folder / "captures"), SOURCES, judge, reuse=not fresh
        )
        self._next = iter(clients)
        self.tries = 0
        template = TaskTemplate(
            run="run",
            version=VERSION,
            options=RunOptions(jobs=2),
            engine="auto",
            contained=contained_cells(plan),
            known=lambda planned: store.known(planned, PROBES),
        )
        clock = FakeClock()
        self.runner = ClusterRunner(next(self._next), self.connect, template, clock, timeouts)
        context = RunContext(None, self.runner, clock, 1000, 0, place="on a cluster")
        self.on_end: Callable[[str], None] = lambda _cell: None
        self.scheduler = Scheduler(plan, PROBES, context, store, self._take)

    def connect(self) -> FakeTaskClient:
        self.tries += 1
        if self.tries % 3:
            raise ClusterLostError("connection refused")
        try:
            return next(self._next)
        except StopIteration:
            raise ClusterLostError("connection refused") from None

    def run(self) -> Record:
        with contextlib.closing(self.journal), contextlib.closing(self.runner):
            return self.scheduler.run()

    def _take(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, CellFinished):
            self.on_end(event.cell)

    def entries(self) -> list[Entry]:
        with contextlib.closing(Journal(self.path)) as journal:
            return list(journal.read().entries.values())
