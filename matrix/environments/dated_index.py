"""A small simple-index on loopback that hides what was uploaded after a moment.

For the pips of CPython 2.7 and 3.5, which know no date: they ask it instead of the real index, and
fetch the files from where those lie.

Files that are given for a pinned release: the only ones that count of it.

A wheel that nobody published, or one of another index, is installed through the same doors as all
others: tools that resolve are shown a small index of it, and these files' hashes are locked.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import html
import http.server
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import Version

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.environments.toolbox import Toolbox
from matrix.errors import IndexUnavailableError
from matrix.model.environment import Requirements
from matrix.model.index import File, ReleaseFiles
from matrix.model.reason import Reason
from matrix.pypi.index import Index, ReplacingIndex
from matrix.system.atomic import write_atomic

__all__ = [
    "DatedIndex",
    "check_given",
    "copy_here",
    "fits",
    "given_project",
    "is_here",
    "serve",
    "simple_index",
    "with_given",
]


class DatedIndex:
    """Pages of `index` as they were before `cutoff`, without what `python` could not use anyway.

    Of a project in `pins` only the pinned release is shown, whatever its date: it was asked for by
    name. Pages are kept short because pip 20.3 reads each several times, and reads slowly: 47,000
    files of one project take it minutes. `place` may give another address for a file, such as a
    copy on disk, or "" for one that must not be fetched. `failed` is the first thing that the real
    index could not tell.
    """

    def __init__(
        self,
        index: Index,
        cutoff: dt.datetime,
        python: str,
        pins: Mapping[str, str],
        place: Callable[[File], str] = lambda file: file.url,
    ) -> None:
        self._index = index
        self._cutoff = cutoff
        self._python = python
        self._pins = {canonicalize_name(name): Version(pins[name]) for name in pins}
        self._place = place
        self.failed: IndexUnavailableError | None = None

    def page(self, name: str) -> str | None:
        """Return the HTML page of a project, None where the index does not tell."""
        try:
            project = self._index.project(name)
        except IndexUnavailableError as error:
            self.failed = self.failed or error
            return None
        pinned = self._pins.get(canonicalize_name(name))
        if pinned is not None:
            releases = [item for item in project.releases if Version(item.version) == pinned]
            files = [file for release in releases for file in release.files]
        else:
            files = [
                file
                for release in project.releases
                for file in release.files
                if not file.yanked and file.uploaded and file.uploaded < self._cutoff
            ]
        links = "\n".join(
            self._link(file, address)
            for file in files
            if fits(file, self._python) and (address := self._place(file))
        )
        return f"<!DOCTYPE html><html><body>\n{links}\n</body></html>\n"

    def _link(self, file: File, address: str) -> str:
        fragment = f"#sha256={file.sha256}" if file.sha256 else ""
        address = html.escape(address + fragment)
        requires = ""
        if file.requires_python:
            requires = f' data-requires-python="{html.escape(file.requires_python)}"'
        return f'<a href="{address}"{requires}>{html.escape(file.filename)}</a><br>'


def fits(file: File, python: str) -> bool:
    """Return whether CPython `major.minor` may use the file, by what the index says of it.

    Only what pip would leave out as well is false; the platform is left to pip.
    """
    try:
        if not SpecifierSet(file.requires_python).contains(f"{python}.99"):
            return False
    except InvalidSpecifier:
        return True
    if not file.tags:
        return True
    major, _, minor = python.partition(".")
    known = {f"py{major}", f"cp{major}", f"py{major}{minor}", f"cp{major}{minor}"}
    for tag in file.tags.split("-")[0].split("."):
        older = tag[2:3] == major and tag[3:].isdigit() and int(tag[3:]) <= int(minor)
        if tag in known or older:
            return True
    return False


@contextlib.contextmanager
def serve(index: DatedIndex) -> Iterator[str]:
    """Serve `index` on a free loopback port while the block runs; yield its URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = [part for part in self.path.split("?")[0].split("/") if part]
            page = index.page(parts[1]) if parts[:1] == ["simple"] and len(parts) == 2 else None  # noqa: PLR2004
            body = (page or "").encode("utf-8")
            self.send_response(200 if page is not None else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/simple/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def given_project(requirements: Requirements) -> str:
    """Return the canonical name of the project whose files are given, "" where none are."""
    if not requirements.given:
        return ""
    return str(parse_wheel_filename(requirements.given[0].filename)[0])


def with_given(index: Index, requirements: Requirements) -> Index:
    """Return an index that knows the given files as all that there is of their release."""
    if not requirements.given:
        return index
    name, version = parse_wheel_filename(requirements.given[0].filename)[:2]
    uploaded = requirements.given[0].uploaded
    release = ReleaseFiles(
        str(version), uploaded, yanked=False, requires_python="", files=requirements.given
    )
    return ReplacingIndex(index, name, release)


def simple_index(tools: Toolbox, requirements: Requirements) -> Path:
    """Return a folder that is a simple index of the given files and of nothing else.

    Its place follows from what is given, for tools keep what they know by an index's address.
    https://packaging.python.org/en/latest/specifications/simple-repository-api/
    """
    page = "\n".join(
        ["<!DOCTYPE html><html><body>"]
        + [
            f'<a href="{html.escape(file.url)}#sha256={file.sha256}"'
            f' data-requires-python="{html.escape(file.requires_python)}">'
            f"{html.escape(file.filename)}</a><br>"
            for file in requirements.given
        ]
        + ["</body></html>", ""]
    )
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()[:32]
    folder = tools.root / "given" / digest
    own = folder / given_project(requirements)
    if not (own / "index.html").exists():
        with tools.guard(f"given-{digest}"):
            write_atomic(own / "index.html", page)
    return folder


def check_given(requirements: Requirements, lock: Sequence[LockedFile]) -> None:
    """Raise BuildError where the lock would take any other file of the given project's."""
    own, hashes = given_project(requirements), {file.sha256 for file in requirements.given}
    for locked in lock:
        if locked.name == own and not hashes.issuperset(locked.hashes):
            said = f"{own} {locked.version} was resolved to files that were not given"
            raise BuildError(Reason.WRONG_INSTALL, said)


def is_here(url: str) -> bool:
    """Return whether the address is that of a file on this machine."""
    return urlsplit(url).scheme == "file"


def copy_here(url: str, path: Path, _seconds: float) -> None:
    """Copy a file of this machine; raise BuildError where it is gone."""
    source = Path(url2pathname(urlsplit(url).path))
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        said = f"{source.name} is not where it was given: {error.strerror}"
        raise BuildError(Reason.WRONG_INSTALL, said) from error
