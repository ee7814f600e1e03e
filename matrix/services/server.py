"""A server that was started, as whoever wants it sees it; and what its log tells of its end.

What a guardian is told: one server, how it is started and ended, and who runs it.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Protocol

__all__ = ["MARK", "Server", "ServerSpec", "relevant_line"]

_LOG_TAIL = 65_536
_LINE_WORDS = 300
_TELLING = re.compile(
    r"fatal|error|panic|denied|refused|cannot|can't|could not|failed|in use|not found|no space",
    re.IGNORECASE,
)


class Server(Protocol):
    """A server that was started, whoever keeps it."""

    @property
    def failed(self) -> str | None:
        """Why it is not, or not any more; None while all is well."""

    def wait_started(self, seconds: float) -> bool:
        """Return whether it was started in time; not yet whether it answers."""

    def wait_failed(self, seconds: float) -> str | None:
        """Return why it is not any more, None where it is not told in time."""

    def let_go(self) -> None:
        """Let it end, some time soon."""

    def close(self) -> None:
        """Wait until it has ended."""


def relevant_line(log: Path) -> str:
    """Return the last line that tells of something wrong, the very last where none does."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - _LOG_TAIL, 0))
            text = file.read(_LOG_TAIL).decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines or [""])[-1][:_LINE_WORDS]


MARK = "COMPAT_MATRIX_SERVICE"
"""The variable that a server and all that it starts have; its value is the server's folder."""


@dataclasses.dataclass(frozen=True)
class ServerSpec:
    """What to keep. `prepare` and `ready` are pairs of a command and its input, run to their ends;
    `ready` when something listens on all `ports`, to which `doors` (Unix sockets) then lead.

    `user` is who runs all that, None for ourselves. `stop` is a signal's number.
    """

    folder: str
    environment: dict[str, str]
    commands: list[list[str]]
    prepare: list[tuple[list[str], str]]
    ready: list[tuple[list[str], str]]
    ports: list[int]
    doors: list[str]
    user: tuple[int, int] | None
    stop: int
    seconds: float
