"""The worker's side: takes cells from a pipe, one after the other, and ends when nobody listens.

The lifeline is a pipe that the run holds open. It ends when the run ends, also by `kill -9`; then
the worker kills what it started and goes. Ctrl-C is the run's to handle.
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

from matrix.model.capture import CellCapture

__all__ = ["Work", "work"]


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
