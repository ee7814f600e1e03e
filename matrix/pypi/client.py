"""The index with a cache: asked once a day, and missed only where nothing is cached.

One request to the index, repeated with back-off while it may help.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
import stamina
from packaging.utils import canonicalize_name

from matrix.errors import IndexUnavailableError
from matrix.model.index import Project
from matrix.pypi.cache import carry_over, dump_project, load_project
from matrix.pypi.pages import BadAnswerError, build_project, parse_html, parse_json
from matrix.system.atomic import put_in_place

__all__ = ["CachedIndex", "FetchError", "IndexResponse", "fetch", "index_url"]

MAX_AGE = dt.timedelta(hours=24)


def index_url(environ: Mapping[str, str] | None = None) -> str:
    """Return the index that this user's own tools would ask."""
    given = os.environ if environ is None else environ
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if given.get(name):
            # uv takes `name=https://...` too.
            head, equals, tail = given[name].partition("=")
            return (tail if equals and "://" not in head else given[name]).rstrip("/")
    # virtualenv's own library names the public index; it is imported only where nothing else does.
    from distlib.index import DEFAULT_INDEX  # noqa: PLC0415

    return urljoin(str(DEFAULT_INDEX), "simple")


@dataclasses.dataclass
class CachedIndex:
    """An `Index` that keeps what it read under `cache_dir`.

    `max_age` is how old an answer may be before the index is asked again; `refresh` asks once for
    each project, whatever the age; `offline` never asks. `notices` collects what the user should
    know, such as that the index is down and an old answer was used. Safe to use from threads.
    """

    cache_dir: Path
    url: str = dataclasses.field(default_factory=index_url)
    offline: bool = False
    refresh: bool = False
    max_age: dt.timedelta = MAX_AGE
    wait_seconds: float = 0.5
    notices: list[str] = dataclasses.field(default_factory=list)
    _known: dict[str, Project] = dataclasses.field(default_factory=dict)
    _lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def project(self, name: str) -> Project:
        """Return all releases of `name`; raise `IndexUnavailableError` where nothing answers."""
        name = str(canonicalize_name(name))
        with self._lock:
            if name not in self._known:
                self._known[name] = self._find(name)
            return self._known[name]

    def path(self, name: str) -> Path:
        """Return where the answer for `name` is kept."""
        which = hashlib.sha256(self.url.encode()).hexdigest()[:12]
        return self.cache_dir / "index" / which / f"{canonicalize_name(name)}.json"

    def _find(self, name: str) -> Project:
        cached = self._read(name)
        now = dt.datetime.now(tz=dt.timezone.utc)
        if cached is not None:
            project, etag, modified = cached
            fresh = now - project.fetched < self.max_age and not self.refresh
            if self.offline or fresh:
                return project
        else:
            project, etag, modified = None, "", ""
            if self.offline:
                raise IndexUnavailableError(
                    f"nothing is known of {name!r}, and --offline forbids to ask the index",
                    "Run the same command once without --offline.",
                )
        return self._ask(name, project, etag, modified, now)

    def _ask(
        self, name: str, old: Project | None, etag: str, modified: str, now: dt.datetime
    ) -> Project:
        # Imported here: a plan from a warm cache starts without an HTTP library.

        page = f"{self.url.rstrip('/')}/{name}/"
        try:
            answer = fetch(page, etag=etag, modified=modified, wait_seconds=self.wait_seconds)
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
        self.notices += change.sentences(name)
        self._write(name, dump_project(project, answer.etag, answer.modified))
        return project

    def _fall_back(self, name: str, old: Project | None, said: str, why: Exception) -> Project:
        if old is None:
            raise IndexUnavailableError(
                f"the package index gave no usable answer for {name!r}: {said}",
                "Check the network, the proxy and $UV_DEFAULT_INDEX or $PIP_INDEX_URL "
                "(a certificate of your own goes into $REQUESTS_CA_BUNDLE), and try again.",
            ) from why
        self.notices.append(
            f"the package index gave no usable answer for {name!r} ({said}); "
            f"what it said on {old.fetched:%Y-%m-%d %H:%M} UTC is used"
        )
        return old

    def _read(self, name: str) -> tuple[Project, str, str] | None:
        try:
            return load_project(self.path(name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Not there, or damaged: as good as not there.
            return None

    def _write(self, name: str, text: str) -> None:
        path = self.path(name)
        temporary = ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", encoding="utf-8", dir=path.parent, prefix=f".{name}.", delete=False
            ) as file:
                temporary = file.name
                file.write(text)
            put_in_place(Path(temporary), path)
        except OSError as error:
            if temporary:
                Path(temporary).unlink(missing_ok=True)
            self.notices.append(f"the answer for {name!r} could not be cached: {error.strerror}")


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
class IndexResponse:
    """`text` is None where the index says that nothing changed since `etag` or `modified`."""

    text: str | None
    json: bool
    url: str
    etag: str
    modified: str


def fetch(
    url: str, *, etag: str = "", modified: str = "", wait_seconds: float = 0.5
) -> IndexResponse:
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


def _once(url: str, headers: dict[str, str]) -> IndexResponse:
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
        return IndexResponse(None, json=False, url=final, etag="", modified="")
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
    return IndexResponse(
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
