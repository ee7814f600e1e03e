"""The base of started servers, the specification of one, and the relevant line of its log."""

from __future__ import annotations

import abc
import dataclasses
import re
import threading
from pathlib import Path

FOLDER_VARIABLE = "COMPAT_MATRIX_SERVICE"
"""The environment variable with the server's folder, set for a server and all that it starts."""

_LOG_TAIL = 65_536
_LINE_LENGTH = 300
_ERROR_TEXT = re.compile(
    r"fatal|error|panic|denied|refused|cannot|can't|could not|failed|in use|not found|no space",
    re.IGNORECASE,
)


@dataclasses.dataclass(frozen=True)
class ServerSpec:
    """One server to run under supervision.

    `prepare` and `ready` are pairs of a command and its standard input, which run to their ends;
    `ready` runs once all `ports` accept connections, to which `sockets` (paths of Unix sockets)
    then lead. All of them run as `user` (uid and gid), or as the current user for None. `stop` is
    a signal's number.
    """

    folder: str
    environment: dict[str, str]
    commands: list[list[str]]
    prepare: list[tuple[list[str], str]]
    ready: list[tuple[list[str], str]]
    ports: list[int]
    sockets: list[str]
    user: tuple[int, int] | None
    stop: int
    seconds: float


class Server(abc.ABC):
    """A server that was started, as a process or in a container.

    `failure` is the reason why it does not run, with a line of its log; None while it does.
    """

    def __init__(self, log: Path) -> None:
        self.failure: str | None = None
        self._log = log
        self._changed = threading.Condition()
        self._started = False

    def wait_started(self, seconds: float) -> bool:
        """Return whether it was started in time; it may not answer yet."""
        with self._changed:
            self._changed.wait_for(lambda: self._started or self.failure is not None, seconds)
            return self._started and self.failure is None

    def wait_failed(self, seconds: float) -> str | None:
        """Return the reason why it no longer runs, None where none is known in time."""
        with self._changed:
            self._changed.wait_for(lambda: self.failure is not None, seconds)
            return self.failure

    @abc.abstractmethod
    def release(self) -> None:
        """Let it end soon, without waiting for that."""

    @abc.abstractmethod
    def close(self) -> None:
        """End it, and wait until it has ended."""

    def _report_start(self) -> None:
        with self._changed:
            self._started = True
            self._changed.notify_all()

    def _report_failure(self, reason: str) -> None:
        """Store the reason, unless there is one already."""
        with self._changed:
            if self.failure is None:
                self.failure = ": ".join(filter(None, (reason, _relevant_line(self._log))))
            self._changed.notify_all()


def _relevant_line(log: Path) -> str:
    """Return the last line of the log that reports a problem, else the very last one."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - _LOG_TAIL, 0))
            text = file.read(_LOG_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    problems = [line for line in lines if _ERROR_TEXT.search(line)]
    return (problems or lines or [""])[-1][:_LINE_LENGTH]
