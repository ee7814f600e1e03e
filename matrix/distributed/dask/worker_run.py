"""The runs of a worker: the cells of each run, and the functions that the cluster calls.

A worker does with a cell what a run on one machine does, in a folder of its own. Folders of killed
workers are removed.
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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import filelock

from matrix.distributed.dask.interface import CellTask
from matrix.environments.errors import BuildError
from matrix.errors import AnotherRunError
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.interface import (
    STOPPED,
    CellRequest,
    CellResult,
    RunContext,
    capture_not_built,
    capture_not_run,
)
from matrix.runs.journal import lock_results
from matrix.runs.keys import (
    base_key,
    environment_text,
    missing_environment_text,
    peek_environment,
    result_key,
)

# Results are cached for a while: the connection may break just before one arrives.
_CACHED_RESULTS = 32
# A worker that leaves is taken from the cluster within seconds.
_LEAVE_SECONDS = 120.0

OpenContext = Callable[[Path], contextlib.AbstractContextManager[RunContext]]
"""Opens a run's context on this machine, with the folders of its cells below a path."""


class WorkerRun:
    """The state of one run on one worker, with a new folder below `folder`; close it after use.

    A cell that is requested while it runs, or just after, does not run again: both requests get the
    same result.
    """

    def __init__(
        self, folder: Path, open_context: OpenContext, sources: str, probes: Mapping[str, Probe]
    ) -> None:
        self._sources = sources
        self._probes = probes
        self._lock = threading.Lock()
        # Those that run, and the last that ended, in the order of their ends.
        self._cells: dict[PlannedCell, Future[CellResult]] = {}
        self._killed = False
        with contextlib.ExitStack() as stack:
            folder = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            self._context = stack.enter_context(open_context(folder))
            if self._context.environments is None:
                raise ValueError("a worker needs a context with environments")
            self._environments = self._context.environments
            self._resources = stack.pop_all()

    @property
    def busy(self) -> bool:
        """Return whether a cell runs."""
        with self._lock:
            return not all(future.done() for future in self._cells.values())

    def run(self, planned: PlannedCell, known: frozenset[str]) -> CellResult:
        """Run one cell to its end; return no capture where its base is one of `known`."""
        new: Future[CellResult] = Future()
        with self._lock:
            future = self._cells.setdefault(planned, new)
        if future is not new:
            return future.result()
        try:
            result = self._run(planned, known)
        except Exception:  # noqa: BLE001 - a failure of one cell must not end the run
            result = self._failure(planned, "", Reason.INTERNAL_ERROR, traceback.format_exc())
        with self._lock:
            new.set_result(result)
            del self._cells[planned]
            if not self._killed:
                self._cells[planned] = new
                ended = [cell for cell, future in self._cells.items() if future.done()]
                for cell in ended[:-_CACHED_RESULTS]:
                    del self._cells[cell]
        return result

    def kill(self) -> None:
        """End all running cells at once, as interrupted."""
        with self._lock:
            self._killed = True
        self._context.runner.kill()

    def close(self) -> None:
        """Release all resources; no cell may run any more."""
        self._resources.close()

    def _run(self, planned: PlannedCell, known: frozenset[str]) -> CellResult:
        base, started = "", self._context.iso_time()
        try:
            environment, text = peek_environment(self._environments, planned)
            base = base_key(planned, text, self._sources)
            if environment is None and base not in known:
                environment = self._environments.ensure(planned, _ignore)
                base = base_key(planned, environment_text(environment), self._sources)
        except BuildError as error:
            text = missing_environment_text(error.reason)
            base = base or base_key(planned, text, self._sources)
            key = result_key(base, planned, self._probes)
            engine = self._context.engine
            return CellResult(capture_not_built(planned, key, error, started, engine), base)
        notices = [environment.instead, *environment.notices] if environment else []
        notice = "; ".join(filter(None, notices))
        if environment is None or base in known:
            return CellResult(None, base, notice)
        if self._killed:
            return self._failure(planned, base, Reason.INTERRUPTED, STOPPED)
        key = result_key(base, planned, self._probes)
        request = CellRequest(0, planned, environment, key)
        result = self._context.runner.submit(request, _ignore).result()
        capture = result.capture
        notice = "; ".join(filter(None, (notice, result.notice)))
        if capture is not None:
            capture = dataclasses.replace(capture, engine=self._context.engine_of(environment))
        return CellResult(capture, base, notice)

    def _failure(self, planned: PlannedCell, base: str, reason: Reason, detail: str) -> CellResult:
        key = result_key(base, planned, self._probes) if base else ""
        engine = self._context.engine
        return CellResult(capture_not_run(planned, key, reason, detail, engine=engine), base)


def _ignore(_text: str) -> None:
    """Take progress that nobody reads."""


class WorkerRuns:
    """The runs of a worker, each opened by its first cell.

    `leave` is called with the reason when this machine can run no cell any more; its cells then go
    to other workers.
    """

    def __init__(
        self, version: str, open_run: Callable[[CellTask], WorkerRun], leave: Callable[[str], None]
    ) -> None:
        self._version = version
        self._open_run = open_run
        self._leave = leave
        self._lock = threading.Lock()
        self._runs: dict[str, WorkerRun] = {}
        self._last_used: dict[str, float] = {}
        self._ended: set[str] = set()
        self._active = 0
        self._closed = False
        self.left = threading.Event()

    @property
    def active(self) -> int:
        """Return the number of cells without a result yet."""
        with self._lock:
            return self._active

    def run(self, task: CellTask) -> CellResult:
        """Run one cell; raise ValueError for another version of the project."""
        if task.version != self._version:
            raise ValueError(
                f"this worker has version {self._version[:12]} of the project, and the run has"
                f" version {task.version[:12]}: start it again with that version"
            )
        with self._lock:
            self._active += 1
        try:
            run = self._find_or_open(task)
            if run is None:
                capture = capture_not_run(task.planned, "", Reason.INTERRUPTED, STOPPED)
                return CellResult(capture)
            result = run.run(task.planned, task.known)
        finally:
            with self._lock:
                self._active -= 1
                self._last_used[task.run] = time.monotonic()
        if result.capture is not None and result.capture.failed is Reason.ENGINE_LOST:
            self._leave(result.capture.detail or "the container engine does not answer")
            # Return nothing until then: the cell goes to another worker when this one has left.
            self.left.wait(_LEAVE_SECONDS)
        return result

    def end(self, run_id: str) -> None:
        """End all cells of a run at once and close it; takes seconds."""
        with self._lock:
            self._ended.add(run_id)
            run = self._runs.pop(run_id, None)
        if run is not None:
            run.kill()
            run.close()

    def close_idle(self, seconds: float) -> None:
        """Close the runs without a cell for so many seconds."""
        since = time.monotonic() - seconds
        with self._lock:
            idle = [
                self._runs.pop(run_id)
                for run_id, run in list(self._runs.items())
                if not run.busy and self._last_used.get(run_id, 0.0) < since
            ]
        for run in idle:
            run.close()

    def close(self) -> None:
        """End all runs."""
        self.left.set()
        with self._lock:
            self._closed = True
            run_ids = list(self._runs)
        for run_id in run_ids:
            self.end(run_id)

    def _find_or_open(self, task: CellTask) -> WorkerRun | None:
        """Return the task's run, None where it has ended or everything is closed."""
        with self._lock:
            if self._closed or task.run in self._ended:
                return None
            self._last_used[task.run] = time.monotonic()
            if task.run not in self._runs:
                self._runs[task.run] = self._open_run(task)
            return self._runs[task.run]


_REGISTERED: list[WorkerRuns] = []


def register_runs(runs: WorkerRuns) -> None:
    """Set the runs that the cluster's calls in this process use."""
    _REGISTERED[:] = [runs]


def run_cell(task: CellTask) -> CellResult:
    """Run one cell on the worker in this process."""
    if not _REGISTERED:
        raise RuntimeError("this worker was not started by: python -m matrix worker")
    return _REGISTERED[0].run(task)


def end_run(run_id: str) -> None:
    """End a run on the worker in this process, without waiting for it."""
    if _REGISTERED:
        end = _REGISTERED[0].end
        threading.Thread(target=end, args=(run_id,), name="end-run", daemon=True).start()


@contextlib.contextmanager
def worker_folder(workers: Path) -> Iterator[Path]:
    """Yield a new, locked folder in `workers`; remove it afterwards, and unlocked ones before."""
    folder = workers / uuid.uuid4().hex[:12]
    try:
        with contextlib.ExitStack() as stack:
            # One worker at a time: a folder without a lock may have just been created.
            with _lock(workers):
                _remove_unlocked(workers)
                stack.enter_context(lock_results(folder))
            yield folder
    finally:
        with _lock(workers):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_unlocked(workers: Path) -> None:
    for folder in workers.iterdir():
        if folder.is_dir():
            with contextlib.suppress(AnotherRunError):
                with lock_results(folder):
                    pass
                shutil.rmtree(folder, ignore_errors=True)


def _lock(workers: Path) -> filelock.FileLock:
    workers.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(workers / "workers.lock")
