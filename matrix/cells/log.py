"""What an app prints: read to the end as it comes, of which the head and the tail are kept."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from typing import IO

__all__ = ["Log"]

KEEP_BYTES = 32_768
READ_BYTES = 65_536
JOIN_SECONDS = 2.0


class Log:
    """Reads a pipe in a thread of its own; `KEEP_BYTES` of each end stay."""

    def __init__(self, pipe: IO[bytes]) -> None:
        """Start to read `pipe`, which from now on belongs to the log."""
        self._pipe = pipe
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._dropped = 0
        self._ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="log", daemon=True)
        self._thread.start()

    def wait_line(self, start: str, timeout: float) -> str | None:
        """Return the first line that starts with `start`, None at the end or after the timeout.

        Only the head is searched: whoever is ready says so early.
        """
        wanted = start.encode()
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in bytes(self._head).splitlines(keepends=True):
                    if line.startswith(wanted) and line.endswith(b"\n"):
                        return line.decode("utf-8", "replace").rstrip()
                left = deadline - time.monotonic()
                full = len(self._head) >= KEEP_BYTES
                if self._ended or full or left <= 0 or not self._changed.wait(left):
                    return None

    def close(self) -> None:
        """Wait for the end of the pipe, though not for a stranger who holds it open."""
        self._thread.join(JOIN_SECONDS)
        if not self._thread.is_alive():
            self._pipe.close()

    @property
    def text(self) -> str:
        """What was kept, with a line that tells how much was not."""
        with self._changed:
            gap = f"\n[... {self._dropped} bytes ...]\n".encode() if self._dropped else b""
            return (bytes(self._head) + gap + b"".join(self._tail)).decode("utf-8", "replace")

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._pipe.fileno(), READ_BYTES)
            except (OSError, ValueError):
                piece = b""
            with self._changed:
                if piece:
                    self._keep(piece)
                else:
                    self._ended = True
                self._changed.notify_all()
            if not piece:
                return

    def _keep(self, piece: bytes) -> None:
        room = max(KEEP_BYTES - len(self._head), 0)
        self._head += piece[:room]
        rest = piece[room:]
        if not rest:
            return
        self._tail.append(rest)
        self._tail_bytes += len(rest)
        while self._tail_bytes > KEEP_BYTES:
            over = self._tail_bytes - KEEP_BYTES
            first = self._tail.popleft()
            if len(first) > over:
                self._tail.appendleft(first[over:])
            lost = min(len(first), over)
            self._tail_bytes -= lost
            self._dropped += lost
