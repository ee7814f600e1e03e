"""Tests of files and releases that an index no longer lists."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.errors import IndexUnavailableError
from matrix.model.index import File, Project
from matrix.pypi.cache import IndexChange, carry_over, dump_project, load_project
from matrix.pypi.client import CachedIndex
from matrix.pypi.pages import build_project
from matrix.pypi.tags import wheel_tags

NOW = dt.datetime(2025, 1, 1, tzinfo=dt.timezone.utc)
NAMES = [
    f"demo-{version}{kind}"
    for version in ("1.0", "1.1", "2.0")
    for kind in (".tar.gz", "-py3-none-any.whl")
]


def answer(names: set[str], sha256: str = "00") -> Project:
    files = [
        File(
            name, f"https://a.example/{name}", sha256, NOW, "", yanked=False, tags=wheel_tags(name)
        )
        for name in sorted(names)
    ]
    return build_project("demo", files, NOW)


def listed(project: Project) -> set[str]:
    return {file.filename for release in project.releases for file in release.files}


def vanished(project: Project) -> set[str]:
    return {file.filename for release in project.vanished for file in release.files}


@given(st.lists(st.sets(st.sampled_from(NAMES), min_size=1), min_size=1, max_size=5))
def test_nothing_that_was_ever_listed_is_lost(answers: list[set[str]]) -> None:
    project: Project | None = None
    ever: set[str] = set()
    for names in answers:
        project, _ = carry_over(project, answer(names))
        ever |= names
        assert listed(project) == names
        assert vanished(project) == ever - names
        again, _, _ = load_project(dump_project(project).encode())
        assert again == project


def test_what_is_gone_is_named_once() -> None:
    before = answer(set(NAMES))
    after = answer({name for name in NAMES if "1.0" not in name and name != "demo-2.0.tar.gz"})
    known, change = carry_over(before, after)
    assert change == IndexChange(gone=("1.0",), files=("demo-2.0.tar.gz",))
    assert [text.partition(":")[2] for text in change.messages("demo")] == [
        " 1.0",
        " demo-2.0.tar.gz",
    ]
    _, again = carry_over(known, after)
    assert again == IndexChange()


def test_a_file_with_another_hash_is_told() -> None:
    names = {"demo-1.0.tar.gz"}
    _, change = carry_over(answer(names), answer(names, "ff"))
    assert change == IndexChange(replaced=("demo-1.0.tar.gz",))


class Site(http.server.ThreadingHTTPServer):
    """A loopback index of the files `names`, as `media` json or html; `cut` truncates pages."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.media, self.version, self.cut = "html", "1.1", False
        self.names = set(NAMES)

    def page(self) -> tuple[str, bytes]:
        if self.media == "json":
            files = [{"filename": name, "url": name, "hashes": {}} for name in sorted(self.names)]
            data = {"meta": {"api-version": self.version}, "name": "demo", "files": files}
            return "application/vnd.pypi.simple.v1+json", json.dumps(data).encode()
        links = "".join(f'<a href="{name}">{name}</a>' for name in sorted(self.names))
        meta = f'<meta name="pypi:repository-version" content="{self.version}">'
        text = f"<!DOCTYPE html><html><head>{meta}</head><body>{links}</body></html>"
        return "application/vnd.pypi.simple.v1+html", text.encode()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site = self.server
        assert isinstance(site, Site)
        content_type, body = site.page()
        tag = f'"{site.media}-{hash(frozenset(site.names))}"'
        same = self.headers.get("If-None-Match") == tag
        self.send_response(304 if same else 200)
        self.send_header("ETag", tag)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", "0" if same else str(len(body)))
        self.end_headers()
        if not same:
            self.wfile.write(body[: len(body) // 2] if site.cut else body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(site: Site, folder: Path) -> CachedIndex:
    url = f"http://127.0.0.1:{site.server_address[1]}/simple"
    return CachedIndex(folder, url=url, refresh=True, wait_seconds=0.001)


@pytest.mark.parametrize("media", ["json", "html"])
def test_a_release_that_vanishes_between_two_reads(site: Site, tmp_path: Path, media: str) -> None:
    site.media = media
    assert client(site, tmp_path).project("demo").vanished == ()
    site.names = {name for name in NAMES if "1.1" not in name}
    index = client(site, tmp_path)
    project = index.project("demo")
    assert [release.version for release in project.releases] == ["1.0", "2.0"]
    assert [release.version for release in project.vanished] == ["1.1"]
    assert index.notices == ["the index no longer lists these releases of demo: 1.1"]
    again = client(site, tmp_path)
    assert again.project("demo").vanished == project.vanished, "a 304 keeps it too"
    assert again.notices == []
    site.names = set(NAMES)
    assert client(site, tmp_path).project("demo").vanished == ()


@pytest.mark.parametrize("media", ["json", "html"])
def test_an_answer_that_stops_half_way_loses_nothing(
    site: Site, tmp_path: Path, media: str
) -> None:
    site.media = media
    before = client(site, tmp_path).project("demo")
    site.cut, site.names = True, {NAMES[0]}
    index = client(site, tmp_path)
    assert index.project("demo").releases == before.releases
    assert "the answer was cut off" in index.notices[0]


@pytest.mark.parametrize("media", ["json", "html"])
def test_an_index_of_another_major_version_is_refused(
    site: Site, tmp_path: Path, media: str
) -> None:
    site.media, site.version = media, "2.0"
    with pytest.raises(IndexUnavailableError, match=r"version 2\.0"):
        client(site, tmp_path).project("demo")


def test_an_answer_without_end_is_given_up(site: Site, tmp_path: Path) -> None:
    index = client(site, tmp_path)
    index.max_bytes = 100
    with pytest.raises(IndexUnavailableError, match="more than"):
        index.project("demo")
