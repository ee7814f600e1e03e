"""One request to the index, repeated with back-off while it may help."""

from __future__ import annotations

import dataclasses
import time
from urllib.parse import urlsplit, urlunsplit

import requests
import stamina

from matrix.index.pages import BadAnswerError

__all__ = ["Answer", "FetchError", "fetch"]

# Without this header the index leaves out the upload times.
ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
# For the whole of one answer: an index that sends a byte a minute is as good as down.
WHOLE_SECONDS = 300.0
# The largest pages there are have some 60 MB.
MAX_BYTES = 256 * 2**20
ATTEMPTS = 4
_CHUNK = 2**16


class FetchError(Exception):
    """The index could not be asked, or says that there is no such page."""


class _PassingError(FetchError):
    """Worth another try: no connection, half an answer, the index is overloaded."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """`text` is None where the index says that nothing changed since `etag` or `modified`."""

    text: str | None
    json: bool
    url: str
    etag: str
    modified: str


def fetch(url: str, *, etag: str = "", modified: str = "", wait_seconds: float = 0.5) -> Answer:
    """Return the page at `url`; ask conditionally where `etag` or `modified` is given.

    `wait_seconds` is the first pause between two tries. Raises `FetchError`, and `BadAnswerError`
    for an answer of another media type.
    """
    headers = {"Accept": ACCEPT, "User-Agent": "compat-matrix"}
    if etag:
        headers["If-None-Match"] = etag
    if modified:
        headers["If-Modified-Since"] = modified
    tries = stamina.retry_context(
        on=_PassingError,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=wait_seconds,
        wait_max=wait_seconds * 10,
        wait_jitter=wait_seconds,
    )
    for attempt in tries:
        with attempt:
            return _once(url, headers)
    raise AssertionError("unreachable: the last try raises")  # pragma: no cover


def _once(url: str, headers: dict[str, str]) -> Answer:
    shown = without_credentials(url)
    try:
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        with requests.get(url, headers=headers, timeout=timeout, stream=True) as got:
            status, body, said = got.status_code, _body(got, shown), got.headers
            final = got.url
    except requests.exceptions.RequestException as error:
        # The library's text names the address, credentials and all: give its kind only.
        raise _PassingError(f"{shown}: {_kind(error)}") from error
    if status == requests.codes.not_modified:
        return Answer(None, json=False, url=final, etag="", modified="")
    if status in (408, 425, 429) or status >= requests.codes.server_error:
        raise _PassingError(f"{shown}: HTTP {status}")
    if status != requests.codes.ok:
        raise FetchError(f"{shown}: HTTP {status}")
    length = said.get("Content-Length")
    if length and "Content-Encoding" not in said and int(length) != len(body):
        raise _PassingError(f"{shown}: {len(body)} bytes came where {length} were announced")
    media = said.get("Content-Type", "").partition(";")[0].strip().lower()
    if not media.endswith(("json", "html")):
        raise BadAnswerError(f"media type {media or 'not given'}")
    return Answer(
        text=body.decode("utf-8", errors="replace"),
        json=media.endswith("json"),
        url=final,
        etag=said.get("ETag", ""),
        modified=said.get("Last-Modified", ""),
    )


def _body(got: requests.Response, shown: str) -> bytes:
    """Read an answer, up to a size and for a time: what sends without end is no index."""
    start, size, chunks = time.monotonic(), 0, []
    for chunk in got.iter_content(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_BYTES:
            raise FetchError(f"{shown}: the answer has more than {MAX_BYTES >> 20} MiB")
        if time.monotonic() - start > WHOLE_SECONDS:
            raise FetchError(f"{shown}: the answer takes more than {WHOLE_SECONDS:.0f} seconds")
    return b"".join(chunks)


def without_credentials(url: str) -> str:
    """Return `url` without user name and password, fit to be shown."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _kind(error: requests.exceptions.RequestException) -> str:
    words = {
        requests.exceptions.SSLError: "its certificate is not trusted",
        requests.exceptions.ProxyError: "the proxy does not answer",
        requests.exceptions.Timeout: "no answer in time",
        requests.exceptions.ConnectionError: "no connection",
        requests.exceptions.ChunkedEncodingError: "the answer was cut off",
    }
    for kind, text in words.items():
        if isinstance(error, kind):
            return text
    return type(error).__name__
