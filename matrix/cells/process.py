"""One process of the sample app: started under the tracer, stopped with all that it started."""

from __future__ import annotations

import contextlib
import re
import secrets
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix.cells.door import Door, loopback_door
from matrix.cells.living import note_end, note_start
from matrix.cells.log import Log, PipeLog
from matrix.cells.strays import kill_marked
from matrix.process_trees import Tree

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
        self._tree = Tree(
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

    def wait_ready(self, timeout: float) -> Door | None:
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
