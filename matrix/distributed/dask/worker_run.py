"""What a worker does with a cell: all that a run on one machine does, its world behind it.

The stations of a worker process, by run, and what the cluster calls in that process.

The folder of a worker, for its cells; what a worker that was killed left there goes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import threading
import time
import traceback
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import filelock

from matrix.distributed.dask.task import Task
from matrix.environments.errors import BuildError
from matrix.errors import AnotherRunError
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.failures import engine_of, failed_words, lacking_words, said_of, unseen, words_of
from matrix.runs.interfaces import RemoteResult
from matrix.runs.journal import one_run
from matrix.runs.keys import Sources, base_key, result_key
from matrix.runs.scheduler import RunContext

__all__ = ["OpenHere", "WorkerRun", "WorkerRuns", "end_run", "own_folder", "run_cell", "serve"]

# Answers that are kept a while: the asker may have lost the scheduler just before they came.
_KEPT = 32

OpenHere = Callable[[Path], contextlib.AbstractContextManager[RunContext]]
"""Opens the world of this machine, whose cells may have their folders below a path."""


class WorkerRun:
    """What one worker has open for one run, with a folder of its own in `folder`; to be closed.

    A cell that is asked for while it runs, or just after, is not run again: both get one answer.
    """

    def __init__(
        self, folder: Path, open_world: OpenHere, sources: Sources, probes: Mapping[str, Probe]
    ) -> None:
        self._sources = sources
        self._probes = probes
        self._lock = threading.Lock()
        self._running: dict[PlannedCell, Future[RemoteResult]] = {}
        self._answers: OrderedDict[PlannedCell, RemoteResult] = OrderedDict()
        self._killed = False
        with contextlib.ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self._world = stack.enter_context(open_world(folder))
            self._open = stack.pop_all()

    @property
    def busy(self) -> bool:
        """Return whether a cell runs."""
        with self._lock:
            return bool(self._running)

    def run(self, planned: PlannedCell, known: frozenset[str]) -> RemoteResult:
        """Run one cell to its end; say only that it is known where its base is one of `known`."""
        mine: Future[RemoteResult] = Future()
        with self._lock:
            if planned in self._answers:
                return self._answers[planned]
            running = self._running.setdefault(planned, mine)
        if running is not mine:
            return running.result()
        try:
            answer = self._run(planned, known)
        except Exception:  # noqa: BLE001 - one cell's surprise is not the run's
            answer = self._none(planned, "", Reason.INTERNAL_ERROR, traceback.format_exc())
        with self._lock:
            del self._running[planned]
            if not self._killed:
                self._answers[planned] = answer
                while len(self._answers) > _KEPT:
                    self._answers.popitem(last=False)
        mine.set_result(answer)
        return answer

    def kill(self) -> None:
        """End all that runs, at once; cells that run end as interrupted."""
        with self._lock:
            self._killed = True
        if self._world.runner is not None:
            self._world.runner.kill()

    def close(self) -> None:
        """Put everything away, when no cell runs any more."""
        self._open.close()

    def _run(self, planned: PlannedCell, known: frozenset[str]) -> RemoteResult:
        environments, runner = self._world.environments, self._world.runner
        assert environments and runner  # noqa: S101, PT018 - this is where cells are run
        started = self._world.clock.now().isoformat(timespec="seconds")
        try:
            environment = environments.peek(planned)
            name = "" if environment else environments.name(planned)
        except BuildError as error:
            return self._unmade(planned, self._base(planned, lacking_words(error.reason)), error)
        if environment is None:
            base = self._base(planned, failed_words(name))
            if base in known:
                return RemoteResult(base, None)
            try:
                environment = environments.ensure(planned, _tell)
            except BuildError as error:
                return self._unmade(planned, base, error, started)
        base = self._base(planned, words_of(environment))
        if base in known:
            return RemoteResult(base, None, environment.instead)
        if self._killed:
            return self._none(planned, base, Reason.INTERRUPTED, "the run was stopped")
        key = result_key(base, planned, self._probes)
        capture = runner.submit(planned, environment, key).result()
        capture = dataclasses.replace(capture, engine=self._engine(environment))
        return RemoteResult(base, capture, environment.instead)

    def _base(self, planned: PlannedCell, environment: str) -> str:
        return base_key(planned, environment, self._sources)

    def _engine(self, environment: Environment | None) -> str:
        return engine_of(environment, self._world.engine)

    def _unmade(
        self, planned: PlannedCell, base: str, error: BuildError, started: str = ""
    ) -> RemoteResult:
        started = started or self._world.clock.now().isoformat(timespec="seconds")
        return self._none(planned, base, error.reason, said_of(error), started)

    def _none(
        self, planned: PlannedCell, base: str, reason: Reason, detail: str, started: str = ""
    ) -> RemoteResult:
        key = result_key(base, planned, self._probes) if base else ""
        capture = unseen(planned, key, reason, detail, started)
        return RemoteResult(base, dataclasses.replace(capture, engine=self._engine(None)))


def _tell(_text: str) -> None:
    """Take progress, which nobody looks at: the user is at another machine."""


# A worker that has to leave is taken from the cluster within seconds.
_LEAVING_SECONDS = 120.0


class WorkerRuns:
    """One station for each run that asks for cells here.

    `leave` is called when this machine can run no cell any more, with the reason: what it was asked
    goes to another worker then.
    """

    def __init__(
        self, version: str, make: Callable[[Task], WorkerRun], leave: Callable[[str], None]
    ) -> None:
        self._version = version
        self._make = make
        self._leave = leave
        self._lock = threading.Lock()
        self._open: dict[str, WorkerRun] = {}
        self._used: dict[str, float] = {}
        self._ended: set[str] = set()
        self._under_way = 0
        self._closed = False
        self.left = threading.Event()

    @property
    def under_way(self) -> int:
        """Return how many cells are asked for and not answered."""
        with self._lock:
            return self._under_way

    def run(self, asked: Task) -> RemoteResult:
        """Run one cell; raise ValueError for another version of the project."""
        if asked.version != self._version:
            raise ValueError(
                f"this worker has version {self._version[:12]} of the project and is asked by"
                f" version {asked.version[:12]}: start it again with that one"
            )
        with self._lock:
            self._under_way += 1
        try:
            station = self._station(asked)
            if station is None:
                return RemoteResult(
                    "", unseen(asked.planned, "", Reason.INTERRUPTED, "the run was stopped")
                )
            answer = station.run(asked.planned, asked.known)
        finally:
            with self._lock:
                self._under_way -= 1
                self._used[asked.run] = time.monotonic()
        if answer.capture is not None and answer.capture.failed is Reason.ENGINE_LOST:
            self._leave(answer.capture.detail or "the container engine does not answer")
            # Nothing is answered: the cell is given to another worker when this one has left.
            self.left.wait(_LEAVING_SECONDS)
        return answer

    def end(self, run: str) -> None:
        """End all cells of a run at once and put away what there is of it; takes seconds."""
        with self._lock:
            self._ended.add(run)
            station = self._open.pop(run, None)
        if station is not None:
            station.kill()
            station.close()

    def tidy(self, idle: float) -> None:
        """Put away what there is of runs that asked for nothing for `idle` seconds."""
        since = time.monotonic() - idle
        with self._lock:
            old = [run for run, station in self._open.items() if self._is_old(run, station, since)]
            closed = [self._open.pop(run) for run in old]
        for station in closed:
            station.close()

    def close(self) -> None:
        """End everything."""
        self.left.set()
        with self._lock:
            self._closed = True
            runs = list(self._open)
        for run in runs:
            self.end(run)

    def _is_old(self, run: str, station: WorkerRun, since: float) -> bool:
        return not station.busy and self._used.get(run, 0.0) < since

    def _station(self, asked: Task) -> WorkerRun | None:
        """Return the station of the run, None for a run that has ended, or where all has."""
        with self._lock:
            if self._closed or asked.run in self._ended:
                return None
            self._used[asked.run] = time.monotonic()
            if asked.run not in self._open:
                self._open[asked.run] = self._make(asked)
            return self._open[asked.run]


_HERE: list[WorkerRuns] = []


def serve(stations: WorkerRuns) -> None:
    """Let what the cluster calls in this process find the stations."""
    _HERE[:] = [stations]


def run_cell(asked: Task) -> RemoteResult:
    """Run one cell on the worker that this is called on."""
    if not _HERE:
        raise RuntimeError("this worker was not started by: python -m matrix worker")
    return _HERE[0].run(asked)


def end_run(run: str) -> None:
    """End a run on the worker that this is called on, without waiting for it."""
    if _HERE:
        threading.Thread(target=_HERE[0].end, args=(run,), name="end-run", daemon=True).start()


@contextlib.contextmanager
def own_folder(workers: Path) -> Iterator[Path]:
    """Yield a new folder in `workers` while it lasts; remove those that nobody holds any more."""
    folder = workers / uuid.uuid4().hex[:12]
    try:
        with contextlib.ExitStack() as stack:
            # One worker after the other: a folder that nobody holds may be one that is just made.
            with _lock(workers):
                _clean(workers)
                stack.enter_context(one_run(folder))
            yield folder
    finally:
        with _lock(workers):
            shutil.rmtree(folder, ignore_errors=True)


def _clean(workers: Path) -> None:
    for left in workers.iterdir():
        if left.is_dir():
            with contextlib.suppress(AnotherRunError):
                with one_run(left):
                    pass
                shutil.rmtree(left, ignore_errors=True)


def _lock(workers: Path) -> filelock.FileLock:
    workers.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(workers / "workers.lock")
