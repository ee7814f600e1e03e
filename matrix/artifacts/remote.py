"""A remote file as a seekable stream of which only the parts that are read are fetched."""

from __future__ import annotations

import hashlib
import io
import time
from collections.abc import Iterable

from matrix.artifacts.limits import Limits
from matrix.artifacts.refusing import BadArtifactError
from matrix.artifacts.transport import Piece, Transport

__all__ = ["RemoteFile"]

_BLOCK = 1 << 15
# The directory of a tracer's wheel takes 60 to 160 KiB, its metadata stands right before.
_TAIL = 1 << 18
# A request costs about as much time as this many bytes.
_BRIDGE = 4 * _BLOCK
_RUN = 256 * _BLOCK


class RemoteFile(io.RawIOBase):
    """Blocks of a file, fetched when they are first read.

    Where the server sends the whole file at once, that is checked against `sha256`; a part cannot
    be. `fetched` counts the bytes that came. Raises `BadArtifactError` from `read` and `prefetch`.
    """

    def __init__(
        self, url: str, source: str, transport: Transport, limits: Limits, sha256: str = ""
    ) -> None:
        super().__init__()
        self.fetched = 0
        self._url, self._source, self._sha256 = url, source, sha256
        self._transport, self._limits = transport, limits
        self._deadline = time.monotonic() + limits.seconds
        self._blocks: dict[int, bytes] = {}
        self._at = 0
        self._total = 0
        try:
            piece = self._get(f"-{_TAIL}")
        except BadArtifactError as error:
            if "HTTP 416" not in error.why and "HTTP 501" not in error.why:
                raise
            # Some servers know `0-9` but not `-9`.
            piece = self._get("0-0")
        self._total = piece.total
        self._keep(piece)

    @property
    def size(self) -> int:
        """Return the size of the whole file."""
        return self._total

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position; before the start is an error, as for files."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._total}[whence]
        if base + offset < 0:
            raise OSError("a position before the start of the file")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` as far as the file goes; return how many bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes from the position on."""
        end = self._total if size < 0 else min(self._total, self._at + size)
        if end <= self._at:
            return b""
        self.prefetch([(self._at, end)])
        first = self._at // _BLOCK
        parts = [self._blocks[number] for number in range(first, (end - 1) // _BLOCK + 1)]
        offset = self._at - first * _BLOCK
        data = b"".join(parts)[offset : offset + end - self._at]
        self._at = end
        return data

    def prefetch(self, spans: Iterable[tuple[int, int]]) -> None:
        """Fetch what is missing of the spans (`[first, end)`), neighbours by one request."""
        wanted: set[int] = set()
        for first, end in spans:
            wanted.update(range(first // _BLOCK, (min(end, self._total) + _BLOCK - 1) // _BLOCK))
        missing = sorted(wanted - self._blocks.keys())
        runs: list[list[int]] = []
        for number in missing:
            near = runs and (number - runs[-1][1]) * _BLOCK <= _BRIDGE
            if near and (number - runs[-1][0]) * _BLOCK < _RUN:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        for first, last in runs:
            if first not in self._blocks or last not in self._blocks:
                end = min((last + 1) * _BLOCK, self._total)
                self._keep(self._get(f"{first * _BLOCK}-{end - 1}"))

    def _get(self, asked: str) -> Piece:
        if time.monotonic() > self._deadline:
            raise BadArtifactError(self._source, f"took longer than {self._limits.seconds:g} s")
        left = self._limits.fetched - self.fetched
        try:
            piece = self._transport.get(self._url, asked, left, self._deadline)
        except BadArtifactError as error:
            raise BadArtifactError(self._source, error.why) from error
        self.fetched += len(piece.body)
        if self._total and piece.total != self._total:
            raise BadArtifactError(self._source, "its size changed while it was read")
        if piece.whole and self._sha256:
            found = hashlib.sha256(piece.body).hexdigest()
            if found != self._sha256:
                raise BadArtifactError(self._source, "it is not the file of the index's hash")
        return piece

    def _keep(self, piece: Piece) -> None:
        number = -(-piece.first // _BLOCK)
        while (start := number * _BLOCK - piece.first) < len(piece.body):
            block = piece.body[start : start + _BLOCK]
            if len(block) == _BLOCK or piece.first + start + len(block) == piece.total:
                self._blocks[number] = block
            number += 1
