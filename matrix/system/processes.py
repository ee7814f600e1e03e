"""Process trees, which are started and ended as one, and the registry of this process's children.

On POSIX a tree is a session and its group, see setsid(2): a process that starts a session of its
own leaves the tree. On Windows it is a job, which no process leaves.
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

_Child = TypeVar("_Child")

_FIRST_POLL_SECONDS = 0.0005
_POLL_SECONDS = 0.02

Stream = int | IO[bytes]
"""As in subprocess: a file, or PIPE, STDOUT, DEVNULL."""


class ProcessTree:
    """A process and its descendants; close it in any case. `process` is the first one.

    `cpu_seconds` is the CPU time of the first one and of those that it waited for, once it has
    ended; None where the system does not tell.
    """

    process: subprocess.Popen[bytes]
    cpu_seconds: float | None = None

    def __init__(  # noqa: PLR0913 - the parts of a process
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        *,
        stdin: Stream,
        stdout: Stream,
        stderr: Stream,
        pass_fds: Sequence[int] = (),
    ) -> None:
        """Start the tree; raise OSError where the program cannot be started.

        Its processes inherit the file descriptors `pass_fds`, except on Windows.
        """
        flags = 0
        self._reaping = threading.Lock()
        if sys.platform == "win32":
            from matrix.system.windows_jobs import FLAGS, WindowsJob  # noqa: PLC0415 - Windows

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
                pass_fds=() if sys.platform == "win32" else tuple(pass_fds),
            )
        except BaseException:
            self.close()
            raise
        if sys.platform == "win32":
            try:
                self._job.assign(self.process.pid)
            except OSError:
                with self.process:  # closes its pipes, and waits for its end
                    self.process.kill()
                raise

    def poll(self) -> int | None:
        """Return the exit code of the first process, None while it runs.

        After an `exec` that is the code of the program that replaced it, on Windows, too.
        """
        if sys.platform == "win32":
            code = self.process.poll()
            return self._job.successor_exit_code() if code == 0 else code
        with self._reaping:
            if self.process.returncode is None:
                self._reap()
        return self.process.returncode

    def _reap(self) -> None:
        """As `Popen.poll`, which does not tell the CPU time."""
        if sys.platform == "win32":
            return
        try:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
        except ChildProcessError:
            self.process.poll()
            return
        if pid:
            self.process.returncode = os.waitstatus_to_exitcode(status)
            self.cpu_seconds = usage.ru_utime + usage.ru_stime

    def wait(self, seconds: float) -> int:
        """Wait for the exit code of the first process; raise subprocess.TimeoutExpired."""
        until = time.monotonic() + seconds
        if sys.platform == "win32":
            self.process.wait(seconds)
        pause = _FIRST_POLL_SECONDS
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired(self.process.args, seconds)
            time.sleep(pause)
            pause = min(2 * pause, _POLL_SECONDS)
        return code

    def terminate(self) -> None:
        """Send SIGTERM; Windows has nothing like it (only the end of standard input)."""
        if sys.platform != "win32":
            self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End all processes of the tree at once."""
        if sys.platform == "win32":
            self._job.end()
        else:
            self._signal(signal.SIGKILL)

    def kill_rest(self) -> None:
        """End the remaining processes, just after the first one has ended."""
        if sys.platform == "win32":
            self._job.end()
        else:
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Release the job of a tree that has ended (Windows)."""
        if sys.platform == "win32":
            self._job.close()

    if sys.platform != "win32":

        def _signal(self, number: int) -> None:
            if sys.platform == "linux" and self.process.returncode is not None:
                # The first process is reaped and its id may be reused. On macOS, which assigns
                # ids in sequence, that is unlikely.
                return
            with contextlib.suppress(OSError):
                os.killpg(self.process.pid, number)


def ending_signals() -> list[signal.Signals]:
    """Return the signals that ask this process to end, without those that it was told to ignore."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)  # Ctrl-Break, which a CI runner sends to end a job
    elif signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` ignores it
        numbers.append(signal.SIGHUP)
    return numbers


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
