"""One process of the sample app: started under the tracer, stopped with all that it started.

Processes that are found by a mark in their environment, wherever they went.

What cells of this process have started and not yet ended.

What an exit code tells of a crash.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from matrix.cells.client import Endpoint, loopback_door
from matrix.cells.log import BoundedLog, PipeLog
from matrix.system.processes import ProcessTree

__all__ = [
    "MARK",
    "AppProcess",
    "how_it_crashed",
    "kill_all",
    "kill_marked",
    "note_end",
    "note_start",
    "read_listing",
    "ready_port",
]

# `-E` shows the environment of this user's processes: man 1 ps of macOS.
_PS = ("/bin/ps", "-A", "-E", "-ww", "-o", "pid=,command=")
_PS_SECONDS = 10.0
_LINE = re.compile(r"\s*(?P<pid>\d+)\s(?P<words>.*)")


def kill_marked(variable: str) -> bool:
    """Kill the processes that have `variable` (`NAME=value`) in their environment; return whether
    there were some.

    On Windows there are none: what was started there cannot leave its job.
    """
    found = False
    if sys.platform != "win32":
        for pid in _marked(variable):
            found = True
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return found


def read_listing(text: str, variable: str) -> Iterator[int]:
    """Yield the processes of what `ps` says that have the variable."""
    for line in text.splitlines():
        if (match := _LINE.fullmatch(line)) and variable in match["words"].split():
            yield int(match["pid"])


def _marked(variable: str) -> list[int]:
    if sys.platform == "darwin":
        # System's own programs hide their environment there, and are missed.
        try:
            said = subprocess.run(
                _PS, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PS_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        return list(read_listing(said.stdout.decode("utf-8", "replace"), variable))
    wanted = variable.encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


class KillableProcess(Protocol):
    """Something that can be ended at once."""

    def kill(self) -> None:
        """End it, without waiting for long; no complaint where it has ended."""
        ...


_living: set[KillableProcess] = set()
_lock = threading.Lock()


def note_start(mortal: KillableProcess) -> None:
    """Take note of what was started."""
    with _lock:
        _living.add(mortal)


def note_end(mortal: KillableProcess) -> None:
    """Take note that it has ended."""
    with _lock:
        _living.discard(mortal)


def kill_all() -> None:
    """Kill all that was started here and still runs."""
    with _lock:
        mortals = tuple(_living)
    for mortal in mortals:
        mortal.kill()


READY = "bookshop ready "
_READY_LINE = re.compile(re.escape(READY) + r"127\.0\.0\.1:(\d+)")
MARK = "BOOKSHOP_PROCESS"
_POLL_SECONDS = 0.01


def ready_port(log: BoundedLog, timeout: float) -> int | None:
    """Return the port that the app says it listens on, None where it does not in time."""
    line = log.wait_line(READY, timeout)
    found = _READY_LINE.fullmatch(line) if line else None
    return int(found[1]) if found else None


class AppProcess:
    """A process and what it starts; to be stopped in any case."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, stop: float
    ) -> None:
        """Start `command` in `folder`; `stop` is how many seconds it gets to end by itself.

        Raises OSError where there is nothing to start.
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
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe, as asked for above
        self.log = PipeLog(self._process.stdout)
        note_start(self)

    def wait_ready(self, timeout: float) -> Endpoint | None:
        """Return the way to the app, None where it does not say in time that it listens."""
        port = ready_port(self.log, timeout)
        return None if port is None else loopback_door(port)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._tree.poll() is None

    def died(self, within: float = 0.0) -> int | None:
        """Return the exit code if the process ends by itself within so many seconds, else None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._tree.wait(within)
        return None

    def stop(self) -> None:
        """End it, softly first: its input ends, and where there are signals it gets SIGTERM.

        `exit_code` is set if it was dead already. What left its session is found by a mark in its
        environment.
        """
        self.exit_code = self._tree.poll()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe, as asked for above
            self._process.stdin.close()
        if self.exit_code is None:
            self._tree.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._tree.wait(self._stop_seconds)
        self.kill()
        self._process.wait()
        self.log.close()
        self._tree.close()
        note_end(self)

    def kill(self) -> None:
        """Kill it with all that it started, at once."""
        self._tree.kill()
        deadline = time.monotonic() + self._stop_seconds
        while kill_marked(f"{MARK}={self._mark}") and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


# The codes of errors among those of Windows, such as 0xC0000005, an access violation:
# https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-erref/
_ERRORS = 0xC0000000


def how_it_crashed(code: int) -> str:
    """Return in words what ended a process with this exit code, "" where it ended itself.

    POSIX has a signal's number, negative here, and nothing beyond 255; Windows 32 bits.
    """
    if code < 0:
        return f"died of signal {-code}"
    return f"died of exception {code:#x}" if code >= _ERRORS else ""
