"""Worker processes that run cells, each replaced when it dies or exceeds its time limit.

`ProcessPoolExecutor` does not serve: there one dead worker takes down the jobs of all, and no time
limit reaches a job that has begun.

A worker takes cells from a pipe, one after the other. Its lifeline is a pipe that the run holds
open, which ends when the run ends, also by `kill -9`: the worker then kills what it started and
exits. Ctrl-C is handled by the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import multiprocessing
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from matrix.model.capture import CellCapture
from matrix.model.reason import Reason
from matrix.runs.interface import CellRequest, CellResult, Report, capture_not_run
from matrix.system.files import is_disk_full

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection


class Work(Protocol):
    """The work of a worker process; a picklable object."""

    def start(self) -> None:
        """Prepare the process, before it has a second thread."""
        ...

    def run(self, job: Any) -> CellCapture:  # noqa: ANN401 - of the type that `make_job` returns
        """Run one job to its end."""
        ...

    def abandon(self) -> None:
        """Kill everything that running jobs have started; called from another thread."""
        ...


def work(tasks: Connection, lifeline: Connection, task_work: Work) -> None:
    """Run jobs from `tasks` until it or `lifeline` is closed; return captures or tracebacks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    task_work.start()
    watch = threading.Thread(target=_watch, args=(lifeline, task_work.abandon), daemon=True)
    watch.start()
    while True:
        try:
            job = tasks.recv()
        except (EOFError, OSError):
            return
        answer: CellCapture | str
        try:
            answer = task_work.run(job)
        except Exception:  # noqa: BLE001 - a failure of one cell must not end the run
            answer = traceback.format_exc()
        try:
            tasks.send(answer)
        except OSError:
            return


def _watch(lifeline: Connection, abandon: Callable[[], None]) -> None:
    wait([lifeline])
    try:
        abandon()
    finally:
        # The main thread may be in the middle of a job: no softer way ends it.
        os._exit(1)


_END_SECONDS = 5.0
_SPAWN = multiprocessing.get_context("spawn")


@dataclasses.dataclass(frozen=True)
class _Task:
    request: CellRequest
    job: Any
    future: Future[CellResult]

    def failure(self, reason: Reason, detail: str, seconds: float = 0.0) -> CellCapture:
        request = self.request
        return capture_not_run(request.planned, request.key, reason, detail, seconds=seconds)

    def stopped(self) -> CellCapture:
        return self.failure(Reason.INTERRUPTED, "the run was stopped")

    def end(self, capture: CellCapture) -> None:
        self.future.set_result(CellResult(capture))


class Workers:
    """A `Runner` of up to `count` processes; `limit` returns the seconds for a whole job."""

    def __init__(
        self,
        task_work: Work,
        make_job: Callable[[CellRequest], Any],
        count: int,
        limit: Callable[[Any], float],
    ) -> None:
        self._work = task_work
        self._make_job = make_job
        self._count = count
        self._limit = limit
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._slots: list[_Slot] = []
        self._stopped = threading.Event()
        # A task that is submitted after the end of the workers would never be taken.
        self._submitting = threading.Lock()

    def submit(self, request: CellRequest, report: Report) -> Future[CellResult]:  # noqa: ARG002
        """Start a cell as soon as a worker is free; the future always ends with a capture."""
        task = _Task(request, None, Future())
        try:
            task = dataclasses.replace(task, job=self._make_job(request))
        except OSError as error:
            reason = Reason.DISK_FULL if is_disk_full(error) else Reason.INTERNAL_ERROR
            task.end(task.failure(reason, str(error)))
            return task.future
        with self._submitting:
            if self._stopped.is_set():
                task.end(task.stopped())
                return task.future
            self._tasks.put(task)
            if len(self._slots) < self._count:
                slot = _Slot(self._work, self._tasks, self._limit, self._stopped)
                slot.start()
                self._slots.append(slot)
        return task.future

    def kill(self) -> None:
        """End all workers at once, with everything that they have started."""
        with self._submitting:
            self._stopped.set()
        for slot in self._slots:
            slot.cut()
        self.close()

    def close(self) -> None:
        """End the workers when they have no task left."""
        for _ in self._slots:
            self._tasks.put(None)
        for slot in self._slots:
            slot.join()
        self._slots.clear()


class _Slot(threading.Thread):
    """A thread with its worker process, which is replaced when it ends."""

    def __init__(
        self,
        task_work: Work,
        tasks: queue.SimpleQueue[_Task | None],
        limit: Callable[[Any], float],
        stopped: threading.Event,
    ) -> None:
        super().__init__(name="worker", daemon=True)
        self._work = task_work
        self._tasks = tasks
        self._limit = limit
        self._stopped = stopped
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._lifeline: Connection | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Run tasks until there are no more."""
        while (task := self._tasks.get()) is not None:
            try:
                capture = self._run(task)
            except Exception as error:  # noqa: BLE001 - the future must end in any case
                self._end()
                capture = task.failure(Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            task.end(capture)
        self._end()

    def cut(self) -> None:
        """Close the lifeline: the worker kills what it started, and exits."""
        with self._lock:
            if self._lifeline is not None:
                self._lifeline.close()
                self._lifeline = None

    def _run(self, task: _Task) -> CellCapture:
        if self._stopped.is_set():
            return task.stopped()
        if self._pipe is None or self._process is None or not self._process.is_alive():
            self._end()
            self._pipe = self._start()
        start = time.monotonic()
        answer = self._exchange(self._pipe, task.job)
        if self._stopped.is_set():
            # A cell whose processes are being killed takes that for a crash.
            return task.stopped()
        if isinstance(answer, CellCapture):
            return answer
        return task.failure(*answer, time.monotonic() - start)

    def _exchange(
        self,
        pipe: Connection,
        job: Any,  # noqa: ANN401 - of the type that `make_job` returns
    ) -> CellCapture | tuple[Reason, str]:
        limit = self._limit(job)
        try:
            pipe.send(job)
            if not pipe.poll(limit):
                self._end()
                return Reason.TIMED_OUT, f"the cell did not end within {limit:g} s"
            answer = pipe.recv()
        except (EOFError, OSError):
            code = self._end()
            end = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            return Reason.INTERNAL_ERROR, f"the worker process ended with {end}"
        return answer if isinstance(answer, CellCapture) else (Reason.INTERNAL_ERROR, str(answer))

    def _start(self) -> Connection:
        ours, theirs = _SPAWN.Pipe()
        lifeline, our_lifeline = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(
            target=work, args=(theirs, lifeline, self._work), name="cells", daemon=True
        )
        with self._lock:
            process.start()
            theirs.close()
            lifeline.close()
            self._process, self._pipe, self._lifeline = process, ours, our_lifeline
        if self._stopped.is_set():
            self.cut()
        return ours

    def _end(self) -> int | None:
        """End the worker, by its lifeline first; return its exit code."""
        process, pipe = self._process, self._pipe
        if process is None or pipe is None:
            return None
        self.cut()
        pipe.close()
        process.join(_END_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
        code = process.exitcode
        with contextlib.suppress(ValueError):
            process.close()
        self._process = self._pipe = None
        return code
