"""One process of the sample app: started under the tracer, stopped with all that it started."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix.cells.door import Door, loopback_door
from matrix.cells.living import note_end, note_start
from matrix.cells.log import Log, PipeLog

__all__ = ["MARK", "AppProcess", "ready_port"]

READY = "bookshop ready "
_READY_LINE = re.compile(re.escape(READY) + r"127\.0\.0\.1:(\d+)")
MARK = "BOOKSHOP_PROCESS"
_POLL_SECONDS = 0.01


def ready_port(log: Log, timeout: float) -> int | None:
    """Return the port that the app says it listens on, None where it does not in time."""
    line = log.wait_line(READY, timeout)
    found = _READY_LINE.fullmatch(line) if line else None
    return int(found[1]) if found else None


class AppProcess:
    """A process with its own session; to be stopped in any case."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, stop: float
    ) -> None:
        """Start `command` in `folder`; `stop` is how many seconds it gets to end by itself.

        Raises OSError where there is nothing to start.
        """
        self._stop_seconds = stop
        self._mark = secrets.token_hex(16)
        self.exit_code: int | None = None
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environment, MARK: self._mark},
            cwd=folder,
            start_new_session=True,
            close_fds=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe, as asked for above
        self.log = PipeLog(self._process.stdout)
        note_start(self)

    def wait_ready(self, timeout: float) -> Door | None:
        """Return the way to the app, None where it does not say in time that it listens."""
        port = ready_port(self.log, timeout)
        return None if port is None else loopback_door(port)

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def died(self, within: float = 0.0) -> int | None:
        """Return the exit code if the process ends by itself within so many seconds, else None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(within)
        return None

    def stop(self) -> None:
        """End it: SIGTERM to the group, SIGKILL later; `exit_code` is set if it was dead already.

        What left the group is found by a mark in its environment.
        """
        self.exit_code = self._process.poll()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe, as asked for above
            self._process.stdin.close()
        if self.exit_code is None:
            self._signal(force=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(self._stop_seconds)
        self.kill()
        self._process.wait()
        self.log.close()
        note_end(self)

    def kill(self) -> None:
        """Kill the group and what left it, at once."""
        self._signal(force=True)
        deadline = time.monotonic() + self._stop_seconds
        while (strays := _marked(self._mark)) and time.monotonic() < deadline:
            for stray in strays:
                with contextlib.suppress(OSError):
                    os.kill(stray, signal.SIGKILL)
            time.sleep(_POLL_SECONDS)

    def _signal(self, *, force: bool) -> None:
        if sys.platform == "win32":
            self._process.kill()
            return
        if sys.platform == "linux" and self._process.returncode is not None:
            # The leader is reaped and its number may be another's by now: the mark finds the rest.
            return
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL if force else signal.SIGTERM)


def _marked(mark: str) -> list[int]:
    """Return the live processes whose environment has the mark; none where it cannot be read."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found
