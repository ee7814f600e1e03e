"""Worker processes that run the cells, each replaced when it dies or overstays.

Not `ProcessPoolExecutor`: there one dead worker takes down the jobs of all, and no time limit
reaches a job that has begun.

The worker's side: takes cells from a pipe, one after the other, and ends when nobody listens.

The lifeline is a pipe that the run holds open. It ends when the run ends, also by `kill -9`; then
the worker kills what it started and goes. Ctrl-C is the run's to handle.
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
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Protocol

from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.system.atomic import is_disk_full

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

__all__ = ["Work", "Workers", "work"]


class Work(Protocol):
    """What a worker does; a picklable object."""

    def start(self) -> None:
        """Prepare the process, before it has a second thread."""
        ...

    def run(self, job: Any) -> CellCapture:  # noqa: ANN401 - what a job is, is its maker's
        """Run one job to its end."""
        ...

    def abandon(self) -> None:
        """Kill everything that running jobs have started; called from another thread."""
        ...


def work(tasks: Connection, lifeline: Connection, doing: Work) -> None:
    """Run jobs from `tasks` until it or `lifeline` is closed; answer with a capture or a text."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    doing.start()
    watch = threading.Thread(target=_watch, args=(lifeline, doing.abandon), daemon=True)
    watch.start()
    while True:
        try:
            job = tasks.recv()
        except (EOFError, OSError):
            return
        answer: CellCapture | str
        try:
            answer = doing.run(job)
        except Exception:  # noqa: BLE001 - one cell's surprise is not the run's
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
        # The thread that runs the job is in the middle of it: nothing softer ends it.
        os._exit(1)


_END_SECONDS = 5.0
_SPAWN = multiprocessing.get_context("spawn")


@dataclasses.dataclass(frozen=True)
class _Task:
    planned: PlannedCell
    key: str
    future: Future[CellCapture]


class Workers:
    """A `Runner` of up to `count` processes; `limit` is in seconds, per cell, for everything."""

    def __init__(
        self,
        doing: Work,
        make_job: Callable[[PlannedCell, Environment, str], Any],
        count: int,
        limit: float,
    ) -> None:
        self._doing = doing
        self._make_job = make_job
        self._count = count
        self._limit = limit
        self._tasks: queue.SimpleQueue[tuple[_Task, Any] | None] = queue.SimpleQueue()
        self._slots: list[_Slot] = []
        self._stopped = threading.Event()
        # What is submitted behind the end of the workers would be taken by none.
        self._submitting = threading.Lock()

    def submit(
        self, planned: PlannedCell, environment: Environment, key: str
    ) -> Future[CellCapture]:
        """Start a cell as soon as a worker is free; the future always ends with a capture."""
        task = _Task(planned, key, Future())
        try:
            job = self._make_job(planned, environment, key)
        except OSError as error:
            reason = Reason.DISK_FULL if is_disk_full(error) else Reason.INTERNAL_ERROR
            task.future.set_result(_failed(task, reason, str(error)))
            return task.future
        with self._submitting:
            if self._stopped.is_set():
                task.future.set_result(_stopped(task))
                return task.future
            self._tasks.put((task, job))
            if len(self._slots) < self._count:
                slot = _Slot(self._doing, self._tasks, self._limit, self._stopped)
                self._slots.append(slot)
                slot.start()
        return task.future

    def kill(self) -> None:
        """End all workers at once, with what they have started."""
        with self._submitting:
            self._stopped.set()
        for slot in self._slots:
            slot.cut()
        self.close()

    def close(self) -> None:
        """End the workers when they have nothing left to do."""
        for _ in self._slots:
            self._tasks.put(None)
        for slot in self._slots:
            slot.join()
        self._slots.clear()


class _Slot(threading.Thread):
    """One worker process after the other, and the thread that talks to it."""

    def __init__(
        self,
        doing: Work,
        tasks: queue.SimpleQueue[tuple[_Task, Any] | None],
        limit: float,
        stopped: threading.Event,
    ) -> None:
        super().__init__(name="worker", daemon=True)
        self._doing = doing
        self._tasks = tasks
        self._limit = limit
        self._stopped = stopped
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._lifeline: Connection | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Take tasks until there is none."""
        while (item := self._tasks.get()) is not None:
            task, job = item
            try:
                capture = self._do(task, job)
            except Exception as error:  # noqa: BLE001 - the future must end in any case
                self._end()
                capture = _failed(task, Reason.INTERNAL_ERROR, f"{type(error).__name__}: {error}")
            task.future.set_result(capture)
        self._end()

    def cut(self) -> None:
        """Let go of the lifeline: the worker kills what it started, and ends."""
        with self._lock:
            if self._lifeline is not None:
                self._lifeline.close()
                self._lifeline = None

    def _do(self, task: _Task, job: Any) -> CellCapture:  # noqa: ANN401 - its maker's
        if self._stopped.is_set():
            return _stopped(task)
        if self._process is None or not self._process.is_alive():
            self._end()
            self._start()
        start = time.monotonic()
        answer = self._ask(job)
        if self._stopped.is_set():
            # A cell whose processes are being killed takes that for a crash.
            return _stopped(task)
        if isinstance(answer, CellCapture):
            return answer
        return _failed(task, *answer, time.monotonic() - start)

    def _ask(self, job: Any) -> CellCapture | tuple[Reason, str]:  # noqa: ANN401 - its maker's
        assert self._pipe is not None  # noqa: S101 - made by `_start`
        try:
            self._pipe.send(job)
            if not self._pipe.poll(self._limit):
                self._end()
                return Reason.TIMED_OUT, f"the cell did not end within {self._limit:g} s"
            answer = self._pipe.recv()
        except (EOFError, OSError):
            code = self._end()
            how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
            return Reason.INTERNAL_ERROR, f"the worker process ended with {how}"
        return answer if isinstance(answer, CellCapture) else (Reason.INTERNAL_ERROR, str(answer))

    def _start(self) -> None:
        ours, theirs = _SPAWN.Pipe()
        lifeline, lifeline_held = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(
            target=work, args=(theirs, lifeline, self._doing), name="cells", daemon=True
        )
        with self._lock:
            process.start()
            theirs.close()
            lifeline.close()
            self._process, self._pipe, self._lifeline = process, ours, lifeline_held
        if self._stopped.is_set():
            self.cut()

    def _end(self) -> int | None:
        """End the worker, softly first; return its exit code."""
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


def _stopped(task: _Task) -> CellCapture:
    return _failed(task, Reason.INTERRUPTED, "the run was stopped")


def _failed(task: _Task, reason: Reason, detail: str, seconds: float = 0.0) -> CellCapture:
    return CellCapture(
        cell=task.planned.cell.id,
        key=task.key,
        identity=None,
        lock=(),
        processes=(),
        started="",
        seconds=seconds,
        failed=reason,
        detail=detail,
    )
