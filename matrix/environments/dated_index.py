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
from collections.abc import Callable, Collection, Iterator

from packaging.utils import canonicalize_name

from matrix.errors import IndexUnavailableError
from matrix.index import Index
from matrix.model.index import File

__all__ = ["DatedIndex", "serve"]


class DatedIndex:
    """Pages of `index` as they were before `cutoff`; `exempt` projects are shown whole.

    `place` may give another address for a file, such as a copy on disk. `failed` is the first
    thing that the real index could not tell.
    """

    def __init__(
        self,
        index: Index,
        cutoff: dt.datetime,
        exempt: Collection[str] = (),
        place: Callable[[File], str] = lambda file: file.url,
    ) -> None:
        self._index = index
        self._cutoff = cutoff
        self._exempt = {canonicalize_name(name) for name in exempt}
        self._place = place
        self.failed: IndexUnavailableError | None = None

    def page(self, name: str) -> str | None:
        """Return the HTML page of a project, None where the index does not tell."""
        try:
            project = self._index.project(name)
        except IndexUnavailableError as error:
            self.failed = self.failed or error
            return None
        shown = [
            self._link(file)
            for release in project.releases
            for file in release.files
            if not file.yanked and self._is_old(name, file)
        ]
        return "<!DOCTYPE html><html><body>\n" + "\n".join(shown) + "\n</body></html>\n"

    def _is_old(self, name: str, file: File) -> bool:
        if canonicalize_name(name) in self._exempt:
            return True
        return file.uploaded is not None and file.uploaded < self._cutoff

    def _link(self, file: File) -> str:
        fragment = f"#sha256={file.sha256}" if file.sha256 else ""
        address = html.escape(self._place(file) + fragment)
        requires = ""
        if file.requires_python:
            requires = f' data-requires-python="{html.escape(file.requires_python)}"'
        return f'<a href="{address}"{requires}>{html.escape(file.filename)}</a><br>'


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
