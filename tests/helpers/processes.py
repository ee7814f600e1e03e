"""Helpers for tests that watch or kill processes."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["children_of", "gone", "kill", "kill_descendants", "processes_with", "wait_until"]


def children_of(pid: int) -> Iterator[int]:
    """Yield the children of a process that have not ended; Linux only, none elsewhere."""
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            yield from (pid for pid in map(int, path.read_text("ascii").split()) if not gone(pid))


def kill_descendants(pid: int) -> None:
    """End all descendants of a process, in whatever session they are; Linux only."""
    for child in children_of(pid):
        kill_descendants(child)
        with contextlib.suppress(OSError):
            kill(child)


def gone(pid: int) -> bool:
    """Return whether a process has ended; Linux only."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return True
    # Where no process reaps orphans, a dead one stays as a zombie.
    return status.rpartition(")")[2].split()[0] == "Z"


def processes_with(text: str) -> list[str]:
    """Return the command lines of processes with a text in their command line or environment.

    Linux only.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if text.encode() in command + (folder / "environ").read_bytes():
                found.append(command.replace(b"\0", b" ").decode("utf-8", "replace"))
    return found


def kill(pid: int) -> None:
    """End a process at once; it cannot handle that."""
    if sys.platform == "win32":
        os.kill(pid, signal.SIGTERM)  # ends a process at once there
    else:
        os.kill(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], object], seconds: float = 10) -> bool:
    """Return whether the condition became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
