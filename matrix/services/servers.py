"""A server that was started, as whoever wants it sees it; and what its log tells of its end."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

__all__ = ["Server", "relevant_line"]

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
