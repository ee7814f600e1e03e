"""Process trees, which are started and ended as one, and the registry of this process's children.

On POSIX a tree is a session and its group, see setsid(2): what makes a session of its own has left
it. On Windows it is a job, which nothing leaves.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

__all__ = ["CHILDREN", "ChildRegistry", "ProcessTree", "Stream"]

_Child = TypeVar("_Child")

_POLL_SECONDS = 0.02

Stream = int | IO[bytes]
"""As subprocess has it: a file, or PIPE, STDOUT, DEVNULL."""


class ProcessTree:
    """What was started; to be closed in any case. `process` is the first of it."""

    process: subprocess.Popen[bytes]

    def __init__(  # noqa: PLR0913 - the parts of a process
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        *,
        stdin: Stream,
        stdout: Stream,
        stderr: Stream,
        keep: Sequence[int] = (),
    ) -> None:
        """Start it; raise OSError where there is nothing to start.

        It holds the descriptors `keep` as long as it lives, but not on Windows.
        """
        flags = 0
        if sys.platform == "win32":
            from matrix.system.windows_jobs import FLAGS, WindowsJob  # noqa: PLC0415 - there only

            self._job = WindowsJob()
            flags = FLAGS
        try:
            self.process = subprocess.Popen(
                list(argv),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=dict(environ),
                cwd=folder,
                start_new_session=True,
                close_fds=True,
                creationflags=flags,
                pass_fds=() if sys.platform == "win32" else tuple(keep),
            )
        except BaseException:
            self.close()
            raise
        if sys.platform == "win32":
            try:
                self._job.take(self.process.pid)
            except OSError:
                with self.process:  # its pipes are closed, and its end is waited for
                    self.process.kill()
                raise

    def poll(self) -> int | None:
        """Return its exit code, None while it runs.

        Where the first became another by `exec` that is the other's, on Windows as elsewhere.
        """
        code = self.process.poll()
        if sys.platform == "win32" and code == 0:
            return self._job.code_of_successor()
        return code

    def wait(self, seconds: float) -> int:
        """Return its exit code, as soon as it has ended; raise subprocess.TimeoutExpired."""
        if sys.platform != "win32":
            return self.process.wait(seconds)
        until = time.monotonic() + seconds
        self.process.wait(seconds)
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(self.process.args, seconds)
            time.sleep(_POLL_SECONDS)
        return code

    def terminate(self) -> None:
        """Ask it to end, where there is a way: on Windows only the end of its input says so."""
        if sys.platform != "win32":
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        if sys.platform == "win32":
            self._job.end()
        else:
            self._signal(signal.SIGKILL)

    def kill_rest(self) -> None:
        """End what is left of it, just after its first has ended."""
        if sys.platform == "win32":
            self._job.end()
        else:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it, when it has ended."""
        if sys.platform == "win32":
            self._job.close()

    if sys.platform != "win32":

        def _signal(self, number: int) -> None:
            if sys.platform == "linux" and self.process.returncode is not None:
                # The first is reaped and its number may be another's by now; macOS takes numbers
                # in turn, of which there are many.
                return
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, number)


class ChildRegistry:
    """Processes and containers that must not outlive this process; safe for threads."""

    def __init__(self) -> None:
        self._kills: dict[object, Callable[[], None]] = {}
        # Re-entrant: a signal handler may kill all while its own thread registers a child.
        self._lock = threading.RLock()

    def add(self, child: object, kill: Callable[[], None]) -> None:
        """Register a child; `kill` ends it at once, and does nothing if it has ended."""
        with self._lock:
            self._kills[child] = kill

    def start(self, start: Callable[[], _Child], kill: Callable[[_Child], None]) -> _Child:
        """Start a child and register it before `kill_all` can run, so that none is missed."""
        with self._lock:
            child = start()
            self.add(child, functools.partial(kill, child))
        return child

    def remove(self, child: object) -> None:
        """Remove a child that has ended."""
        with self._lock:
            self._kills.pop(child, None)

    def kill_all(self) -> None:
        """Kill every registered child."""
        with self._lock:
            kills = tuple(self._kills.values())
        for kill in kills:
            kill()


CHILDREN = ChildRegistry()
"""The children of this process; killed when it exits, as daemon threads that wait for one are
not ended in an orderly way."""
atexit.register(CHILDREN.kill_all)
