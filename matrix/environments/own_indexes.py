"""Simple indexes of ours: of local wheels, and of the files of another index before a moment.

Local wheels (`Requirements.given`) are the only files of a pinned release. They may be of no index,
or of another one. They are installed the same way as all others: installers that resolve get a
small index of them, and their hashes are locked.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import hashlib
import html
import http.server
import operator
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from packaging.utils import canonicalize_name, parse_wheel_filename

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.environments.toolbox import Toolbox
from matrix.errors import IndexUnavailableError
from matrix.model.environment import Requirements
from matrix.model.index import File, ReleaseFiles
from matrix.model.reason import Reason
from matrix.pypi.client import Index, ReplacingIndex
from matrix.pypi.releases import existed, specifier_allows
from matrix.pypi.tags import is_same_version, supports_python
from matrix.system.files import write_atomic


@dataclasses.dataclass
class DatedIndex:
    """Pages of `index` with the files from before `cutoff` that `python` can use.

    A project in `pins` (versions by canonical name) has the pinned release only, whatever its date:
    it was requested by name. Pages must be short, because pip 20.3 parses each several times, and
    slowly: 47,000 files of one project take minutes. `address_of` may replace the address of a
    file, such as by that of a copy on disk, or by "" for a file that must not be fetched. `failed`
    is the first error of `index`.
    """

    index: Index
    cutoff: dt.datetime
    python: str
    pins: Mapping[str, str]
    address_of: Callable[[File], str] = operator.attrgetter("url")
    failed: IndexUnavailableError | None = None

    def page(self, name: str) -> str | None:
        """Return the HTML page of a project, None where the index does not answer."""
        try:
            project = self.index.project(name)
        except IndexUnavailableError as error:
            self.failed = self.failed or error
            return None
        pinned = self.pins.get(canonicalize_name(name))
        if pinned is not None:
            releases = [item for item in project.releases if is_same_version(item.version, pinned)]
            files = [file for release in releases for file in release.files]
        else:
            files = [
                file
                for release in project.releases
                for file in release.files
                if not file.yanked and existed(file.uploaded, self.cutoff)
            ]
        return format_page(
            (file, address)
            for file in files
            if is_usable(file, self.python) and (address := self.address_of(file))
        )


def format_page(files: Iterable[tuple[File, str]]) -> str:
    """Format the page of a project in a simple index, of its files and their addresses.

    https://packaging.python.org/en/latest/specifications/simple-repository-api/
    """
    links = "\n".join(_format_link(file, address) for file, address in files)
    return f"<!DOCTYPE html><html><body>\n{links}\n</body></html>\n"


def _format_link(file: File, address: str) -> str:
    fragment = f"#sha256={file.sha256}" if file.sha256 else ""
    address = html.escape(address + fragment)
    requires = ""
    if file.requires_python:
        requires = f' data-requires-python="{html.escape(file.requires_python)}"'
    return f'<a href="{address}"{requires}>{html.escape(file.filename)}</a><br>'


def is_usable(file: File, python: str) -> bool:
    """Return whether CPython `major.minor` may use the file, by the metadata of the index.

    It is false only where pip would refuse the file as well; pip checks the platform.
    """
    if not specifier_allows(file.requires_python, f"{python}.99"):
        return False
    return not file.tags or supports_python(*file.tags.split("-")[:2], python)


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


def local_project(requirements: Requirements) -> str:
    """Return the canonical name of the project of the local wheels, "" where there are none."""
    if not requirements.given:
        return ""
    return str(parse_wheel_filename(requirements.given[0].filename)[0])


def index_with_local_wheels(index: Index, requirements: Requirements) -> Index:
    """Return an index whose release of the local wheels has these files only."""
    if not requirements.given:
        return index
    name, version = parse_wheel_filename(requirements.given[0].filename)[:2]
    uploaded = requirements.given[0].uploaded
    release = ReleaseFiles(
        str(version), uploaded, yanked=False, requires_python="", files=requirements.given
    )
    return ReplacingIndex(index, name, release)


def write_simple_index(tools: Toolbox, requirements: Requirements) -> Path:
    """Write a simple index of the local wheels and nothing else; return its folder.

    The folder is named by the content, because tools cache by an index's address.
    """
    page = format_page((file, file.url) for file in requirements.given)
    digest = hashlib.sha256(page.encode("utf-8")).hexdigest()[:32]
    folder = tools.root / "given" / digest
    file = folder / local_project(requirements) / "index.html"
    if not file.exists():
        with tools.guard(f"given-{digest}"):
            write_atomic(file, page)
    return folder


def check_lock(requirements: Requirements, lock: Sequence[LockedFile]) -> None:
    """Raise BuildError where the lock has another file of the project of the local wheels."""
    project = local_project(requirements)
    hashes = {file.sha256 for file in requirements.given}
    for locked in lock:
        if locked.name == project and not hashes.issuperset(locked.hashes):
            detail = f"{project} {locked.version} was resolved to files that are not local wheels"
            raise BuildError(Reason.WRONG_INSTALL, detail)


def local_files(tools: Toolbox, requirements: Requirements) -> list[Path]:
    """Return the files and folders of this machine that installers read as of an index."""
    urls = (tools.index_url, *(file.url for file in requirements.given))
    return [Path(url2pathname(urlsplit(url).path)) for url in urls if is_file_url(url)]


def is_file_url(url: str) -> bool:
    """Return whether the address is that of a file on this machine."""
    return urlsplit(url).scheme == "file"


def copy_file(url: str, path: Path, _seconds: float) -> None:
    """Copy a file of this machine; raise BuildError where it is gone."""
    source = Path(url2pathname(urlsplit(url).path))
    try:
        shutil.copyfile(source, path)
    except OSError as error:
        detail = f"cannot read the local wheel {source.name}: {error.strerror}"
        raise BuildError(Reason.WRONG_INSTALL, detail) from error
