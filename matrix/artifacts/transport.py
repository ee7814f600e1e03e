"""Parts of one remote file by HTTP range requests.

https://www.rfc-editor.org/rfc/rfc9110#name-range-requests
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable
from typing import Protocol

import requests
import stamina

from matrix.artifacts.refusing import BadArtifactError
from matrix.index.fetch import without_credentials

__all__ = ["HttpTransport", "Piece", "Transport"]

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
ATTEMPTS = 4
_CHUNK = 1 << 16
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")
_PASSING = {408, 425, 429}


@dataclasses.dataclass(frozen=True)
class Piece:
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

    def get(self, url: str, asked: str, most: int, deadline: float) -> Piece:
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

    def get(self, url: str, asked: str, most: int, deadline: float) -> Piece:
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

    def _once(self, url: str, asked: str, most: int, deadline: float) -> Piece:
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
    ) -> Piece:
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
            return Piece(0, bytes(body), len(body))
        return _partial(shown, asked, got.headers.get("Content-Range", ""), bytes(body))


def _partial(shown: str, asked: str, said: str, body: bytes) -> Piece:
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
    return Piece(first, body, total)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
