"""Processes of an app on this machine, and what their exit codes mean.

A process that left its group is found by a variable of its environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from matrix.cells.client import Endpoint, loopback_endpoint
from matrix.cells.log import BoundedLog, PipeLog
from matrix.system.processes import CHILDREN, ProcessTree

MARK = "BOOKSHOP_PROCESS"
"""The variable that marks the processes of an app."""
READY = "bookshop ready "
_READY_LINE = re.compile(re.escape(READY) + r"127\.0\.0\.1:(\d+)")
_POLL_SECONDS = 0.01
# What threading and socketserver print of a thread that ends by an exception, and its last line.
_THREAD_ENDED = re.compile(
    r"Exception in thread ([^\s:]+)|Exception (?:happened|occurred) during processing of request"
)
_LAST_LINE = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b.*", re.MULTILINE)

# `-E` shows the environment of this user's processes: man 1 ps of macOS.
_PS = ("/bin/ps", "-A", "-E", "-ww", "-o", "pid=,command=")
_PS_SECONDS = 10.0
_PS_LINE = re.compile(r"\s*(?P<pid>\d+)\s(?P<command>.*)")

# Windows reports errors as such exit codes, for example 0xC0000005, an access violation:
# https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/
_FIRST_EXCEPTION = 0xC0000000


class AppProcess:
    """A process and everything that it starts; must be stopped in any case."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, stop: float
    ) -> None:
        """Start `command` in `folder`; `stop` is how many seconds it gets to end by itself.

        Raises OSError if it cannot be started.
        """
        self._stop_seconds = stop
        self._mark = secrets.token_hex(16)
        self.exit_code: int | None = None
        self._tree = ProcessTree(
            command,
            {**environment, MARK: self._mark},
            folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._process = self._tree.process
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.log = PipeLog(self._process.stdout)
        CHILDREN.add(self, self.kill)

    def wait_ready(self, timeout: float) -> Endpoint | None:
        """Return the app's endpoint, None if it does not report in time that it listens."""
        port = wait_port(self.log, timeout)
        return None if port is None else loopback_endpoint(port)

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._tree.poll() is None

    def wait_exit(self, timeout: float = 0.0) -> int | None:
        """Return the exit code if it ends by itself within so many seconds, else None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._tree.wait(timeout)
        return None

    def stop(self) -> None:
        """End it gracefully: its input ends, and on POSIX it gets SIGTERM; kill it after that.

        `exit_code` is set if it had ended already.
        """
        self.exit_code = self._tree.poll()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.close()
        if self.exit_code is None:
            self._tree.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._tree.wait(self._stop_seconds)
        self.kill()
        self._process.wait()
        self.log.close()
        self._tree.close()
        CHILDREN.remove(self)

    def kill(self) -> None:
        """Kill it at once, with everything that it started, also outside of its session."""
        self._tree.kill()
        deadline = time.monotonic() + self._stop_seconds
        while kill_marked(f"{MARK}={self._mark}") and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def wait_port(log: BoundedLog, timeout: float) -> int | None:
    """Return the port that the app reports to listen on, None if it does not in time."""
    line = log.wait_line(READY, timeout)
    match = _READY_LINE.fullmatch(line) if line else None
    return int(match[1]) if match else None


def describe_crash(code: int) -> str:
    """Return what killed a process with this exit code, "" if it ended by itself.

    On POSIX a signal's number, negative here; on Windows 32 bits.
    """
    if code < 0:
        return f"died of signal {-code}"
    return f"died of exception {code:#x}" if code >= _FIRST_EXCEPTION else ""


def describe_survivor(log: str) -> str:
    """Return what happened in a process that did not answer and lives on, by its log."""
    match = _THREAD_ENDED.search(log)
    if match is None:
        return "the process lives on"
    thread = f"thread {match[1]}" if match[1] else "the thread of the request"
    words = next(iter(_LAST_LINE.findall(log[match.end() :])), "")
    return f"the process lives on, and {thread} ended{f' by {words}' if words else ''}"


def kill_marked(variable: str) -> bool:
    """Kill the processes with `variable` (`NAME=value`) in their environment; return whether there
    were some.

    On Windows there are none: a process cannot leave its job there.
    """
    killed = False
    if sys.platform != "win32":
        for pid in _find_marked(variable):
            killed = True
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return killed


def parse_ps(text: str, variable: str) -> Iterator[int]:
    """Yield the processes in the output of `ps` that have the variable."""
    for line in text.splitlines():
        if (match := _PS_LINE.fullmatch(line)) and variable in match["command"].split():
            yield int(match["pid"])


def _find_marked(variable: str) -> list[int]:
    if sys.platform == "darwin":
        # The system's own programs hide their environment there, and are missed.
        try:
            listing = subprocess.run(
                _PS, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PS_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        return list(parse_ps(listing.stdout.decode("utf-8", "replace"), variable))
    entry = variable.encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                pids.append(int(folder.name))
    return pids
