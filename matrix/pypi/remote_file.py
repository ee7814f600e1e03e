"""A remote file as a seekable stream of which only the parts that are read are fetched.

Parts of one remote file by HTTP range requests.

https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import time
from collections.abc import Callable, Iterable
from typing import Protocol

import requests
import stamina

from matrix.pypi.client import without_credentials
from matrix.pypi.wheel_errors import BadArtifactError, WheelLimits

__all__ = ["FileChunk", "HttpTransport", "RemoteFile", "Transport"]

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
ATTEMPTS = 4
_CHUNK = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")
_PASSING = {408, 425, 429}


@dataclasses.dataclass(frozen=True)
class FileChunk:
    """Bytes of a file from `first` on; `total` is the size of all of it.

    A server that knows no ranges sends the whole file: `first` is 0 and all of it is here.
    """

    first: int
    body: bytes
    total: int

    @property
    def whole(self) -> bool:
        """Return whether this is all of the file."""
        return self.first == 0 and len(self.body) == self.total


class Transport(Protocol):
    """Gets parts of files."""

    def get(self, url: str, asked: str, most: int, deadline: float) -> FileChunk:
        """Return the part that `asked` names (`-65536`, `0-1023`), or the whole file.

        Not more than `most` bytes, and not after `deadline` (of `time.monotonic`). Raises
        `BadArtifactError`.
        """
        ...


class _PassingError(BadArtifactError):
    """Worth another try."""


@dataclasses.dataclass
class HttpTransport:
    """The real one, to be closed. `wait_seconds` is the first pause between two tries.

    Threads may share it: they share connections, and nothing that one answer says decides another.
    """

    wait_seconds: float = 0.5
    clock: Callable[[], float] = time.monotonic
    _session: requests.Session = dataclasses.field(default_factory=requests.Session)

    def close(self) -> None:
        """End the connections."""
        self._session.close()

    def get(self, url: str, asked: str, most: int, deadline: float) -> FileChunk:
        """Return the part that `asked` names, tried again while that may help."""
        tries = stamina.retry_context(
            on=_PassingError,
            attempts=ATTEMPTS,
            timeout=None,
            wait_initial=self.wait_seconds,
            wait_max=self.wait_seconds * 10,
            wait_jitter=self.wait_seconds,
        )
        for attempt in tries:
            with attempt:
                return self._once(url, asked, most, deadline)
        raise AssertionError("unreachable: the last try raises")  # pragma: no cover

    def _once(self, url: str, asked: str, most: int, deadline: float) -> FileChunk:
        shown = without_credentials(url)
        headers = {
            "Range": f"bytes={asked}",
            "Accept-Encoding": "identity",
            "User-Agent": "compat-matrix",
        }
        try:
            with self._session.get(
                url, headers=headers, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True
            ) as got:
                return self._read(got, shown, asked, most, deadline)
        except requests.exceptions.RequestException as error:
            # The library's text names the address, credentials and all: give its kind only.
            raise _PassingError(shown, f"the answer broke off ({type(error).__name__})") from error

    def _read(
        self, got: requests.Response, shown: str, asked: str, most: int, deadline: float
    ) -> FileChunk:
        status = got.status_code
        if status in _PASSING or status >= requests.codes.server_error:
            raise _PassingError(shown, f"HTTP {status}")
        if status not in (requests.codes.ok, requests.codes.partial):
            raise BadArtifactError(shown, f"HTTP {status}")
        if got.headers.get("Content-Encoding", "identity") != "identity":
            raise BadArtifactError(shown, "the server packs what it sends")
        announced = _number(got.headers.get("Content-Length"))
        if announced is not None and announced > most:
            raise BadArtifactError(shown, f"{announced} bytes are more than {most}")
        body = bytearray()
        for chunk in got.iter_content(_CHUNK):
            body += chunk
            if len(body) > most:
                raise BadArtifactError(shown, f"more than {most} bytes")
            if self.clock() > deadline:
                raise BadArtifactError(shown, "took too long")
        if announced is not None and announced != len(body):
            raise _PassingError(shown, f"{len(body)} bytes came where {announced} were announced")
        if status == requests.codes.ok:
            return FileChunk(0, bytes(body), len(body))
        return _partial(shown, asked, got.headers.get("Content-Range", ""), bytes(body))


def _partial(shown: str, asked: str, said: str, body: bytes) -> FileChunk:
    """Return the piece, if it is the one that was asked for."""
    match = _CONTENT_RANGE.match(said)
    if match is None:
        raise BadArtifactError(shown, f"the server does not say which part it sends ({said!r})")
    first, last, total = (int(group) for group in match.groups())
    start, _, end = asked.partition("-")
    if start:
        expected = (int(start), min(int(end), total - 1))
    else:
        expected = (max(0, total - int(end)), total - 1)
    if (first, last) != expected or len(body) != last - first + 1:
        raise BadArtifactError(shown, f"{said!r} with {len(body)} bytes came for {asked!r}")
    return FileChunk(first, body, total)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


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
        self, url: str, source: str, transport: Transport, limits: WheelLimits, sha256: str = ""
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

    def _get(self, asked: str) -> FileChunk:
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

    def _keep(self, piece: FileChunk) -> None:
        number = -(-piece.first // _BLOCK)
        while (start := number * _BLOCK - piece.first) < len(piece.body):
            block = piece.body[start : start + _BLOCK]
            if len(block) == _BLOCK or piece.first + start + len(block) == piece.total:
                self._blocks[number] = block
            number += 1
