"""Client of the package index: conditional requests with retries, and a cache for a day.

An index that is down is an error only for projects that were never cached.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import urljoin, urlsplit, urlunsplit

from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.errors import IndexUnavailableError
from matrix.model.index import Project, ReleaseFiles
from matrix.pypi.cache import carry_over, dump_project, load_project
from matrix.pypi.configuration import configured_index
from matrix.pypi.pages import BadAnswerError, build_project, parse_html, parse_json
from matrix.system.files import write_atomic

if TYPE_CHECKING:
    import requests


class Index(Protocol):
    """A source of projects with their releases; tests replace it."""

    def project(self, name: str) -> Project:
        """Return all releases of `name`, yanked ones and pre-releases included.

        Raises `IndexUnavailableError` without an answer of the index or a cache.
        """
        ...


@dataclasses.dataclass(frozen=True)
class ReplacingIndex:
    """The releases of `index`, with `release` instead of, or added to, those of project `name`."""

    index: Index
    name: str
    release: ReleaseFiles

    def project(self, name: str) -> Project:
        """Return all releases of `name`; raise what `index` raises."""
        project = self.index.project(name)
        if canonicalize_name(name) != canonicalize_name(self.name):
            return project
        own = Version(self.release.version)
        others = [item for item in project.releases if Version(item.version) != own]
        releases = sorted([*others, self.release], key=lambda item: Version(item.version))
        return dataclasses.replace(project, releases=tuple(releases))


MAX_AGE = dt.timedelta(hours=24)
# The largest pages have some 60 MB.
MAX_BYTES = 256 * 2**20


def index_url(environ: Mapping[str, str] | None = None) -> str:
    """Return the URL of the index that the user's own tools use."""
    environ = os.environ if environ is None else environ
    if configured := configured_index(environ):
        return configured.rstrip("/")
    from distlib.index import DEFAULT_INDEX  # noqa: PLC0415 - slow, and rarely needed

    return urljoin(str(DEFAULT_INDEX), "simple")


@dataclasses.dataclass
class CachedIndex:
    """An `Index` that caches its answers under `cache_dir`; safe to use from threads.

    `url` is that of the index, "" for the one that the user's own tools use.
    Answers older than `max_age` are requested again; `refresh` requests each project once, whatever
    the age; `offline` never sends a request, and answers of more than `max_bytes` are refused.
    `notices` collects messages for the user, such as that the index is down and an old answer is
    used.
    """

    cache_dir: Path
    url: str = ""
    offline: bool = False
    refresh: bool = False
    max_age: dt.timedelta = MAX_AGE
    wait_seconds: float = 0.5
    max_bytes: int = MAX_BYTES
    notices: list[str] = dataclasses.field(default_factory=list)
    _projects: dict[str, Project] = dataclasses.field(default_factory=dict)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def project(self, name: str) -> Project:
        """Return all releases of `name`; raise `IndexUnavailableError` without any answer."""
        name = str(canonicalize_name(name))
        with self._lock:
            if name not in self._projects:
                self._projects[name] = self._find(name)
            return self._projects[name]

    def path(self, name: str) -> Path:
        """Return the cache file of `name`."""
        index = hashlib.sha256(self._address.encode()).hexdigest()[:12]
        return self.cache_dir / "index" / index / f"{canonicalize_name(name)}.json"

    @functools.cached_property
    def _address(self) -> str:
        return self.url or index_url()

    def _find(self, name: str) -> Project:
        project, etag, modified = self._read(name) or (None, "", "")
        now = dt.datetime.now(tz=dt.timezone.utc)
        if project is not None:
            # A date in the future tells nothing of its age.
            recent = dt.timedelta() <= now - project.fetched < self.max_age
            fresh = recent and not self.refresh
            if self.offline or fresh:
                return project
        elif self.offline:
            raise IndexUnavailableError(
                f"no cached answer for {name!r}, and --offline forbids requests to the index",
                "Run the same command once without --offline.",
            )
        return self._request(name, project, etag, modified, now)

    def _request(
        self, name: str, old: Project | None, etag: str, modified: str, now: dt.datetime
    ) -> Project:
        page = f"{self._address.rstrip('/')}/{name}/"
        try:
            answer = fetch(
                page,
                etag=etag,
                modified=modified,
                wait_seconds=self.wait_seconds,
                max_bytes=self.max_bytes,
            )
            if answer.text is None and old is not None:
                project = dataclasses.replace(old, fetched=now)
                self._write(name, dump_project(project, etag, modified))
                return project
            parse = parse_json if answer.json else parse_html
            project = build_project(name, parse(answer.text or "", answer.url), now)
        except FetchError as error:
            return self._fall_back(name, old, str(error), error)
        except BadAnswerError as error:
            return self._fall_back(name, old, f"{without_credentials(page)}: {error}", error)
        project, change = carry_over(old, project)
        self.notices += change.messages(name)
        self._write(name, dump_project(project, answer.etag, answer.modified))
        return project

    def _fall_back(self, name: str, old: Project | None, detail: str, cause: Exception) -> Project:
        if old is None:
            raise IndexUnavailableError(
                f"the package index gave no usable answer for {name!r}: {detail}",
                "Check the network, the proxy and $UV_DEFAULT_INDEX or $PIP_INDEX_URL "
                "(a certificate of your own goes into $REQUESTS_CA_BUNDLE), and try again.",
            ) from cause
        self.notices.append(
            f"the package index gave no usable answer for {name!r} ({detail}); "
            f"using its answer of {old.fetched:%Y-%m-%d %H:%M} UTC"
        )
        return old

    def _read(self, name: str) -> tuple[Project, str, str] | None:
        path = self.path(name)
        try:
            return load_project(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.notices.append(f"the cached answer for {name!r} is not used: {path}: {error}")
            return None

    def _write(self, name: str, text: str) -> None:
        try:
            write_atomic(self.path(name), text)
        except OSError as error:
            self.notices.append(f"cannot cache the answer for {name!r}: {error.strerror}")


# Without this header the index leaves out the upload times.
ACCEPT = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
)
CONNECT_SECONDS, READ_SECONDS = 10.0, 60.0
# For one whole answer: an index that sends a byte a minute is as good as down.
WHOLE_SECONDS = 300.0
ATTEMPTS = 4
TRANSIENT_STATUS = (408, 425, 429)
_CHUNK = 2**16

T = TypeVar("T")


class FetchError(Exception):
    """The index does not answer, or has no such page."""


class _TransientError(FetchError):
    """A failure worth a retry: no connection, a truncated answer, an overloaded index."""


@dataclasses.dataclass(frozen=True)
class IndexResponse:
    """An answer; `text` is None if the page is unchanged since `etag` or `modified`."""

    text: str | None
    json: bool
    url: str
    etag: str
    modified: str


def fetch(
    url: str,
    *,
    etag: str = "",
    modified: str = "",
    wait_seconds: float = 0.5,
    max_bytes: int = MAX_BYTES,
) -> IndexResponse:
    """Return the page at `url`, by a conditional request with `etag` or `modified`.

    `wait_seconds` is the first pause between two attempts. Raises `FetchError`, and
    `BadAnswerError` for an answer of another media type.
    """
    headers = {"Accept": ACCEPT, "User-Agent": "compat-matrix"}
    if etag:
        headers["If-None-Match"] = etag
    if modified:
        headers["If-Modified-Since"] = modified
    return with_retries(lambda: _fetch_once(url, headers, max_bytes), _TransientError, wait_seconds)


def with_retries(request: Callable[[], T], on: type[Exception], wait_seconds: float) -> T:
    """Return what `request` returns, repeated with exponential back-off while it raises `on`."""
    import stamina  # noqa: PLC0415 - start-up time: cached answers need none

    attempts = stamina.retry_context(
        on=on,
        attempts=ATTEMPTS,
        timeout=None,
        wait_initial=wait_seconds,
        wait_max=wait_seconds * 10,
        wait_jitter=wait_seconds,
    )
    for attempt in attempts:
        with attempt:
            return request()
    raise AssertionError("unreachable: the last attempt raises")  # pragma: no cover


def _fetch_once(url: str, headers: dict[str, str], max_bytes: int) -> IndexResponse:
    import requests  # noqa: PLC0415 - start-up time: cached answers need none

    shown = without_credentials(url)
    try:
        timeout = (CONNECT_SECONDS, READ_SECONDS)
        with requests.get(url, headers=headers, timeout=timeout, stream=True) as response:
            body = _read_body(response, shown, max_bytes)
    except requests.exceptions.RequestException as error:
        # The library's text contains the address with its credentials: give the kind only.
        raise _TransientError(f"{shown}: {_describe(error)}") from error
    status, received = response.status_code, response.headers
    if status == requests.codes.not_modified:
        return IndexResponse(None, json=False, url=response.url, etag="", modified="")
    if status in TRANSIENT_STATUS or status >= requests.codes.server_error:
        raise _TransientError(f"{shown}: HTTP {status}")
    if status != requests.codes.ok:
        raise FetchError(f"{shown}: HTTP {status}")
    length = received.get("Content-Length")
    if length and "Content-Encoding" not in received and int(length) != len(body):
        raise _TransientError(f"{shown}: received {len(body)} bytes of {length}")
    media = received.get("Content-Type", "").partition(";")[0].strip().lower()
    if not media.endswith(("json", "html")):
        raise BadAnswerError(f"media type {media or 'missing'}")
    return IndexResponse(
        text=body.decode("utf-8", errors="replace"),
        json=media.endswith("json"),
        url=response.url,
        etag=received.get("ETag", ""),
        modified=received.get("Last-Modified", ""),
    )


def _read_body(response: requests.Response, shown: str, max_bytes: int) -> bytes:
    """Read an answer with limits of size and time: a server may send without end."""
    start, size, chunks = time.monotonic(), 0, []
    for chunk in response.iter_content(_CHUNK):
        chunks.append(chunk)
        size += len(chunk)
        if size > max_bytes:
            raise FetchError(f"{shown}: the answer has more than {max_bytes >> 20} MiB")
        if time.monotonic() - start > WHOLE_SECONDS:
            raise FetchError(f"{shown}: the answer takes more than {WHOLE_SECONDS:.0f} seconds")
    return b"".join(chunks)


def without_credentials(url: str) -> str:
    """Return `url` without user name and password, for messages."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _describe(error: requests.exceptions.RequestException) -> str:
    import requests  # noqa: PLC0415 - start-up time

    descriptions = {
        requests.exceptions.SSLError: "its certificate is not trusted",
        requests.exceptions.ProxyError: "the proxy does not answer",
        requests.exceptions.Timeout: "no answer in time",
        requests.exceptions.ConnectionError: "no connection",
        requests.exceptions.ChunkedEncodingError: "the answer was cut off",
    }
    for kind, text in descriptions.items():
        if isinstance(error, kind):
            return text
    return type(error).__name__
