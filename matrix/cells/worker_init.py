"""What a worker process does before its first cell: `ProcessPoolExecutor(initializer=...)`."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading

from matrix.cells.process import kill_all
from matrix.system.network import isolate

__all__ = ["worker_initializer"]


def worker_initializer(*, leave_network: bool = True) -> None:
    """Leave the network, leave Ctrl-C to the main process, and do not outlive it.

    Cells in containers are kept from the network by those, and an engine may be reached by it.
    """
    if leave_network:
        isolate()  # first: it wants to be alone in the process
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    threading.Thread(target=_follow_parent, name="follow-parent", daemon=True).start()


def _stop(*_: object) -> None:
    kill_all()
    os._exit(128 + signal.SIGTERM)


def _follow_parent() -> None:
    """End with the main process, however that ended: `kill -9` runs no clean-up."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    multiprocessing.connection.wait([parent.sentinel])
    kill_all()
    os._exit(1)
