"""The interface of a started server, the specification of one, and the relevant line of its log."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Protocol

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


class Server(Protocol):
    """A server that was started, as a process or in a container."""

    @property
    def failure(self) -> str | None:
        """The reason why the server does not run; None while it does."""

    def wait_started(self, seconds: float) -> bool:
        """Return whether it was started in time; it may not answer yet."""

    def wait_failed(self, seconds: float) -> str | None:
        """Return the reason why it no longer runs, None where none is known in time."""

    def release(self) -> None:
        """Let it end soon, without waiting for that."""

    def close(self) -> None:
        """End it, and wait until it has ended."""


def relevant_line(log: Path) -> str:
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


def with_log(message: str, log: Path) -> str:
    """Return the message, followed by the relevant line of the log where there is one."""
    line = relevant_line(log)
    return f"{message}: {line}" if line else message
