"""A cluster without Dask: real stations behind a grid that loses what it is told to lose."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from helpers.run_fakes import PROBES, FakeClock, FakeEnvironments, FakeRunner, capture
from matrix.distributed.dask.client import ClusterLostError, Done, Outcome
from matrix.distributed.dask.resources import WorkerOffer, contained_cells, offered
from matrix.distributed.dask.runner import ClusterRunner, ClusterTimeouts
from matrix.distributed.dask.task import Task, TaskTemplate
from matrix.distributed.dask.worker_run import OpenHere, WorkerRun
from matrix.model.plan import Plan
from matrix.planning.locations import Targets
from matrix.runs.captures import CaptureStore
from matrix.runs.events import CellFinished, Event
from matrix.runs.journal import Entry, Journal
from matrix.runs.keys import Sources, judge_key
from matrix.runs.result import RunResult
from matrix.runs.result_store import ResultStore
from matrix.runs.scheduler import RunContext, Scheduler
from matrix.runs.setup import SetupOptions

VERSION = "0123456789abcdef"
SOURCES = Sources("code")
PATIENCE = ClusterTimeouts(look=0.005, fitting=60, scheduler=30)
LINUX = Targets("", ("linux_x86_64",))


def offer(
    number: int = 1,
    jobs: int = 2,
    where: Targets = LINUX,
    version: str = VERSION,
    pythons: Iterable[str] = ("3.9",),
) -> WorkerOffer:
    held = dict.fromkeys(where.targets, tuple(pythons))
    return WorkerOffer(f"tcp://192.0.2.{number}:1", jobs, offered(where, held, jobs, 1, version))


def world_here(
    runner: FakeRunner, environments: FakeEnvironments | None = None, engine: str = ""
) -> Callable[[Path], contextlib.AbstractContextManager[RunContext]]:
    """Open what a worker's own world is: fakes behind the same seams as a run's on one machine."""
    world = RunContext(environments or FakeEnvironments(), runner, FakeClock(), engine=engine)
    return lambda _folder: contextlib.nullcontext(world)


def station(
    bodies: Mapping[str, str], environments: FakeEnvironments | None = None, engine: str = ""
) -> WorkerRun:
    runner = FakeRunner(lambda cell, key: capture(cell, key, body=bodies[cell]))
    return opened(world_here(runner, environments, engine))


def opened(world: OpenHere) -> WorkerRun:
    """Return a station in a folder that nothing is left in."""
    return WorkerRun(Path(tempfile.gettempdir()), world, SOURCES, PROBES)


class FakeGrid:
    """Gives `answer` the question at once; what it answers with None stays at a worker."""

    def __init__(
        self, answer: Callable[[Task], Outcome | None], offers: Sequence[WorkerOffer] = (offer(),)
    ) -> None:
        self.answer = answer
        self.there = tuple(offers)
        self.sent: list[Task] = []
        self.needs: list[dict[str, float]] = []
        self.at_workers: dict[str, Done] = {}
        self.most = 0
        self.lost = False
        self.ended: list[str] = []
        self.closed = False

    def offers(self) -> Sequence[WorkerOffer]:
        self._check()
        return self.there

    def submit(self, asked: Task, needs: Mapping[str, float], priority: int, done: Done) -> None:
        self._check()
        self.sent.append(asked)
        self.needs.append(dict(needs))
        self.at_workers[asked.planned.cell.id] = done
        self.most = max(self.most, len(self.at_workers))
        outcome = self.answer(asked)
        if outcome is not None:
            self.give(asked.planned.cell.id, outcome)

    def give(self, cell: str, outcome: Outcome) -> None:
        self.at_workers.pop(cell)(outcome)

    def lose(self) -> None:
        """Let the scheduler die: all that was sent by this connection is told so."""
        self.lost = True
        for done in list(self.at_workers.values()):
            done(ClusterLostError("gone"))

    def end(self, run: str) -> None:
        self.ended.append(run)

    def close(self) -> None:
        self.closed = True

    def _check(self) -> None:
        if self.lost:
            raise ClusterLostError("gone")


class Clustered:
    """A run of a plan on fake grids: the first at once, the others when that was lost."""

    def __init__(self, folder: Path, plan: Plan, *grids: FakeGrid, fresh: bool = False) -> None:
        self.plan = plan
        self.events: list[Event] = []
        self.path = folder / "journal.jsonl"
        self.journal = Journal(self.path)
        judge = judge_key(SOURCES, PROBES)
        keeping = ResultStore(
            self.journal, CaptureStore(folder / "captures"), SOURCES, judge, reuse=not fresh
        )
        self._next = iter(grids)
        self.tries = 0
        self.terms = TaskTemplate(
            run="run",
            version=VERSION,
            how=SetupOptions(2),
            engine="auto",
            contained=contained_cells(plan),
            known=lambda planned: keeping.known(planned, PROBES),
        )
        clock = FakeClock()
        self.runner = ClusterRunner(next(self._next), self.connect, self.terms, clock, PATIENCE)
        world = RunContext(None, None, clock, 1000, 0, far=self.runner, place="on a cluster")
        self.on_end: Callable[[str], None] = lambda _cell: None
        self.engine = Scheduler(plan, PROBES, world, keeping, self._take)

    def connect(self) -> FakeGrid:
        self.tries += 1
        if self.tries % 3:
            raise ClusterLostError("connection refused")
        try:
            return next(self._next)
        except StopIteration:
            raise ClusterLostError("connection refused") from None

    def go(self) -> RunResult:
        with contextlib.closing(self.journal), contextlib.closing(self.runner):
            return self.engine.run()

    def _take(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, CellFinished):
            self.on_end(event.cell)

    def entries(self) -> list[Entry]:
        with contextlib.closing(Journal(self.path)) as journal:
            return list(journal.read().entries.values())
