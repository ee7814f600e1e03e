"""A small simple-index on loopback that hides what was uploaded after a moment.

For the pips of CPython 2.7 and 3.5, which know no date: they ask it instead of the real index, and
fetch the files from where those lie.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import html
import http.server
import threading
from collections.abc import Callable, Iterator, Mapping

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.errors import IndexUnavailableError
from matrix.index import Index
from matrix.model.index import File

__all__ = ["DatedIndex", "fits", "serve"]


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
