"""Remote wheels as seekable streams, of which only the parts that are read are fetched.

Parts are fetched by HTTP range requests, within limits, as the files are not trusted:
https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from matrix.pypi.client import TRANSIENT_STATUS, with_retries, without_credentials

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
MOST_CONNECTIONS = 16
_CHUNK = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")
_MIB = 1 << 20


class BadArtifactError(Exception):
    """A file that cannot be fetched or trusted; `source` is its name, `detail` one clause."""

    def __init__(self, source: str, detail: str) -> None:
        super().__init__(f"{source}: {detail}")
        self.source = source
        self.detail = detail

    def __reduce__(self) -> tuple[type[BadArtifactError], tuple[str, str]]:
        """Return how to pickle it: it may come from a pool of processes."""
        return BadArtifactError, (self.source, self.detail)


@dataclasses.dataclass(frozen=True)
class WheelLimits:
    """Limits in bytes, seconds and numbers, all far above those of any published tracer wheel.

    `fetched` and `seconds` are for all requests of one wheel, `member` and `source` for one member
    and one Python file. `ratio` is unpacked to packed size, checked from `small` bytes on: deflate
    itself reaches 1032.
    """

    fetched: int = 96 * _MIB
    entries: int = 20_000
    member: int = 192 * _MIB
    unpacked: int = 1024 * _MIB
    ratio: int = 200
    small: int = _MIB
    source: int = 4 * _MIB
    seconds: float = 120.0


@dataclasses.dataclass(frozen=True)
class FileChunk:
    """Bytes of a file from offset `first` on; `total` is the size of the whole file.

    A server without range requests sends the whole file, so that `first` is 0.
    """

    first: int
    body: bytes
    total: int

    @property
    def whole(self) -> bool:
        """Return whether this is all of the file."""
        return self.first == 0 and len(self.body) == self.total


class Transport(Protocol):
    """Fetches parts of files; tests replace it."""

    def get(self, url: str, span: str, most: int, deadline: float) -> FileChunk:
        """Return the bytes of `span` (`-65536`, `0-1023`), or the whole file.

        Raises `BadArtifactError`, also for more than `most` bytes and after `deadline` (of
        `time.monotonic`).
        """
        ...


class _TransientError(BadArtifactError):
    """A failure worth a retry."""


def _new_session() -> requests.Session:
    import requests  # noqa: PLC0415 - start-up time: most runs fetch nothing

    session = requests.Session()
    # As many connections stay open as threads may share the session.
    session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=MOST_CONNECTIONS))
    return session


@dataclasses.dataclass
class HttpTransport:
    """Transport by HTTP; threads may share it. `wait_seconds` is the first pause before a retry."""

    wait_seconds: float = 0.5
    clock: Callable[[], float] = time.monotonic
    _session: requests.Session = dataclasses.field(default_factory=_new_session)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get(self, url: str, span: str, most: int, deadline: float) -> FileChunk:
        """Return the bytes of `span`, with retries."""
        return with_retries(
            lambda: self._get_once(url, span, most, deadline), _TransientError, self.wait_seconds
        )

    def _get_once(self, url: str, span: str, most: int, deadline: float) -> FileChunk:
        import requests  # noqa: PLC0415 - start-up time

        shown = without_credentials(url)
        headers = {
            "Range": f"bytes={span}",
            "Accept-Encoding": "identity",
            "User-Agent": "compat-matrix",
        }
        try:
            with self._session.get(
                url, headers=headers, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True
            ) as response:
                return self._read(response, shown, span, most, deadline)
        except requests.exceptions.RequestException as error:
            # The library's text contains the address with its credentials: give the kind only.
            detail = f"the connection broke off ({type(error).__name__})"
            raise _TransientError(shown, detail) from error

    def _read(
        self, response: requests.Response, shown: str, span: str, most: int, deadline: float
    ) -> FileChunk:
        status, headers = response.status_code, response.headers
        if status in TRANSIENT_STATUS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _TransientError(shown, f"HTTP {status}")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise BadArtifactError(shown, f"HTTP {status}")
        if headers.get("Content-Encoding", "identity") != "identity":
            raise BadArtifactError(shown, "the server compresses its answer")
        length = headers.get("Content-Length", "")
        announced = int(length) if length.isdecimal() else None
        if announced is not None and announced > most:
            raise BadArtifactError(shown, f"{announced} bytes are more than {most}")
        body = bytearray()
        for chunk in response.iter_content(_CHUNK):
            body += chunk
            if len(body) > most:
                raise BadArtifactError(shown, f"more than {most} bytes")
            if self.clock() > deadline:
                raise BadArtifactError(shown, "took too long")
        if announced is not None and announced != len(body):
            raise _TransientError(shown, f"received {len(body)} bytes of {announced}")
        if status == HTTPStatus.OK:
            return FileChunk(0, bytes(body), len(body))
        return _check_range(shown, span, headers.get("Content-Range", ""), bytes(body))


def _check_range(shown: str, span: str, content_range: str, body: bytes) -> FileChunk:
    """Return the chunk if it is the requested one; raise BadArtifactError."""
    match = _CONTENT_RANGE.match(content_range)
    if match is None:
        raise BadArtifactError(shown, f"invalid Content-Range {content_range!r}")
    first, last, total = (int(group) for group in match.groups())
    start, _, end = span.partition("-")
    if start:
        expected = (int(start), min(int(end), total - 1))
    else:
        expected = (max(0, total - int(end)), total - 1)
    if (first, last) != expected or len(body) != last - first + 1:
        detail = f"requested {span!r}, received {content_range!r} with {len(body)} bytes"
        raise BadArtifactError(shown, detail)
    return FileChunk(first, body, total)


_BLOCK = 1 << 15
# The central directory of a tracer's wheel takes 60 to 160 KiB; its metadata is right before it.
_TAIL = 1 << 18
# Gaps up to this size are fetched too: a request takes about as long as so many bytes.
_MAX_GAP = 16 * _BLOCK
_MAX_RUN = 256 * _BLOCK


class RemoteFile(io.RawIOBase):
    """A seekable stream whose blocks are fetched when they are first read.

    Where the server sends the whole file at once, it is checked against `sha256`; parts cannot be
    checked. `fetched` counts received bytes. `read` and `prefetch` raise `BadArtifactError`.
    """

    def __init__(
        self, url: str, source: str, transport: Transport, limits: WheelLimits, sha256: str = ""
    ) -> None:
        super().__init__()
        self.fetched = 0
        self._url, self._source, self._sha256 = url, source, sha256
        self._transport, self._limits = transport, limits
        # Time between requests is that of other wheels on a busy machine.
        self._seconds = 0.0
        self._blocks: dict[int, bytes] = {}
        self._at = 0
        self._total = 0
        try:
            chunk = self._get(f"-{_TAIL}")
        except BadArtifactError as error:
            if "HTTP 416" not in error.detail and "HTTP 501" not in error.detail:
                raise
            # Some servers support `0-9` but not `-9`.
            chunk = self._get("0-0")
        self._total = chunk.total
        self._store(chunk)

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
        """Move to a position; raise OSError for one before the start."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._total}[whence]
        if base + offset < 0:
            raise OSError("a position before the start of the file")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Read into `buffer`; return the number of bytes."""
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
        """Fetch the missing blocks of spans (`[first, end)`), neighbours by one request."""
        needed: set[int] = set()
        for first, end in spans:
            needed.update(range(first // _BLOCK, (min(end, self._total) + _BLOCK - 1) // _BLOCK))
        missing = sorted(needed - self._blocks.keys())
        runs: list[list[int]] = []
        for number in missing:
            near = runs and (number - runs[-1][1]) * _BLOCK <= _MAX_GAP
            if near and (number - runs[-1][0]) * _BLOCK < _MAX_RUN:
                runs[-1][1] = number
            else:
                runs.append([number, number])
        for first, last in runs:
            if first not in self._blocks or last not in self._blocks:
                end = min((last + 1) * _BLOCK, self._total)
                self._store(self._get(f"{first * _BLOCK}-{end - 1}"))

    def _get(self, span: str) -> FileChunk:
        start = time.monotonic()
        deadline = start + self._limits.seconds - self._seconds
        if start > deadline:
            raise BadArtifactError(self._source, f"took longer than {self._limits.seconds:g} s")
        remaining = self._limits.fetched - self.fetched
        try:
            chunk = self._transport.get(self._url, span, remaining, deadline)
        except BadArtifactError as error:
            raise BadArtifactError(self._source, error.detail) from error
        self._seconds += time.monotonic() - start
        self.fetched += len(chunk.body)
        if self._total and chunk.total != self._total:
            raise BadArtifactError(self._source, "its size changed while it was read")
        checked = chunk.whole and self._sha256
        if checked and hashlib.sha256(chunk.body).hexdigest() != self._sha256:
            raise BadArtifactError(self._source, "its sha256 is not the one on the index")
        return chunk

    def _store(self, chunk: FileChunk) -> None:
        """Store the blocks that are complete."""
        number = -(-chunk.first // _BLOCK)
        while (start := number * _BLOCK - chunk.first) < len(chunk.body):
            block = chunk.body[start : start + _BLOCK]
            if len(block) == _BLOCK or chunk.first + start + len(block) == chunk.total:
                self._blocks[number] = block
            number += 1
