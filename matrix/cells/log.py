"""The output of an app, of which the head and the tail are kept."""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections import deque
from typing import IO

KEEP_BYTES = 32_768
READ_BYTES = 65_536
JOIN_SECONDS = 2.0
READY = "bookshop ready "
_READY_LINE = re.compile(
    re.escape(READY) + r"127\.0\.0\.1:(?P<port>\d+)(?: after (?P<cpu>[0-9.]{1,12}) s of CPU time)?"
)


class BoundedLog:
    """Output of which `keep` bytes of each end are kept; safe for threads."""

    def __init__(self, keep: int = KEEP_BYTES) -> None:
        self._limit = keep
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0
        self._ended = False
        self._changed = threading.Condition()
        self.boot_cpu_seconds: float | None = None
        """The CPU time until it was ready, as the app itself reports it."""

    def wait_line(self, prefix: str, timeout: float) -> str | None:
        """Return the first line that starts with `prefix`, None at the end or after the timeout.

        Only the head is searched: an app reports early that it is ready.
        """
        start = prefix.encode()
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in bytes(self._head).splitlines(keepends=True):
                    if line.startswith(start) and line.endswith(b"\n"):
                        return line.decode("utf-8", "replace").rstrip()
                remaining = deadline - time.monotonic()
                full = len(self._head) >= self._limit
                if self._ended or full or remaining <= 0 or not self._changed.wait(remaining):
                    return None

    def wait_port(self, timeout: float) -> int | None:
        """Return the port that the app reports to listen on, None if it does not in time."""
        line = self.wait_line(READY, timeout)
        match = _READY_LINE.fullmatch(line) if line else None
        if match is None:
            return None
        if match["cpu"]:
            with contextlib.suppress(ValueError):
                self.boot_cpu_seconds = float(match["cpu"])
        return int(match["port"])

    def wait_end(self, timeout: float) -> bool:
        """Return whether the output ended in time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, timeout)

    @property
    def text(self) -> str:
        """Head and tail, with a line between them that counts the bytes that were dropped."""
        with self._changed:
            gap = f"\n[... {self._dropped} bytes ...]\n".encode() if self._dropped else b""
            return (bytes(self._head) + gap + b"".join(self._tail)).decode("utf-8", "replace")

    def append(self, piece: bytes) -> None:
        """Add the next piece of output; an empty one marks the end."""
        with self._changed:
            if piece:
                self._store(piece)
            else:
                self._ended = True
            self._changed.notify_all()

    def _store(self, piece: bytes) -> None:
        free = max(self._limit - len(self._head), 0)
        self._head += piece[:free]
        rest = piece[free:]
        if not rest:
            return
        self._tail.append(rest)
        self._tail_bytes += len(rest)
        while self._tail_bytes > self._limit:
            excess = self._tail_bytes - self._limit
            first = self._tail.popleft()
            if len(first) > excess:
                self._tail.appendleft(first[excess:])
            dropped = min(len(first), excess)
            self._tail_bytes -= dropped
            self._dropped += dropped


class PipeLog(BoundedLog):
    """A log that reads a pipe in a thread of its own."""

    def __init__(self, pipe: IO[bytes], keep: int = KEEP_BYTES) -> None:
        """Start to read `pipe`, which from now on belongs to the log."""
        super().__init__(keep)
        self._pipe = pipe
        self._thread = threading.Thread(target=self._read, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait for the end of the pipe, but not long if another process holds it open."""
        self._thread.join(JOIN_SECONDS)
        if not self._thread.is_alive():
            self._pipe.close()

    def _read(self) -> None:
        piece = b"-"
        while piece:
            try:
                piece = os.read(self._pipe.fileno(), READ_BYTES)
            except (OSError, ValueError):
                piece = b""
            self.append(piece)
