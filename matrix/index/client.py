"""The index with a cache: asked once a day, and missed only where nothing is cached."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urljoin

from packaging.utils import canonicalize_name

from matrix.errors import IndexUnavailableError
from matrix.index.packed import dump, load
from matrix.model.index import Project
from matrix.replacing import put_in_place

__all__ = ["CachedIndex", "index_url"]

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
        from matrix.index.changes import carried_over  # noqa: PLC0415
        from matrix.index.fetch import FetchError, fetch, without_credentials  # noqa: PLC0415
        from matrix.index.pages import BadAnswerError, parse_html, parse_json  # noqa: PLC0415
        from matrix.index.releases import project_of  # noqa: PLC0415

        page = f"{self.url.rstrip('/')}/{name}/"
        try:
            answer = fetch(page, etag=etag, modified=modified, wait_seconds=self.wait_seconds)
            if answer.text is None and old is not None:
                project = dataclasses.replace(old, fetched=now)
                self._write(name, dump(project, etag, modified))
                return project
            parse = parse_json if answer.json else parse_html
            project = project_of(name, parse(answer.text or "", answer.url), now)
        except FetchError as error:
            return self._fall_back(name, old, str(error), error)
        except BadAnswerError as error:
            return self._fall_back(name, old, f"{without_credentials(page)}: {error}", error)
        project, change = carried_over(old, project)
        self.notices += change.sentences(name)
        self._write(name, dump(project, answer.etag, answer.modified))
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
            return load(self.path(name).read_text(encoding="utf-8"))
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
