"""Tests of the index client with a server that sends good, bad, truncated and no answers."""

from __future__ import annotations

import dataclasses
import datetime as dt
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.errors import IndexUnavailableError
from matrix.model.index import Project
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex

PAGE = """<!DOCTYPE html>
<html><head><title>Links</title></head><body>
<a href="/files/aa/demo-1.10.tar.gz#sha256=01" data-upload-time="2023-05-02T10:00:00Z">x</a><br/>
<a href="/files/ab/demo-1.9-cp39-cp39-manylinux2014_x86_64.whl#sha256=02"
   data-requires-python="&gt;=3.9" data-upload-time="2023-01-02T10:00:00.5Z">x</a>
<a href="/files/ab/demo-1.9.tar.gz#sha256=03" data-yanked="broken"
   data-upload-time="2023-01-01T10:00:00.123456Z">x</a>
<a href="/files/ac/demo-1.8.tar.gz" data-yanked>x</a>
<a href="/files/ac/demo-1.8-py2.7.egg">x</a><a href="/help">help</a>
</body></html>
"""
LOGIN = '<html><body><a href="/login">Sign in</a><a href="/demo-help.zip">help</a></body></html>'
JSON = {
    "meta": {"api-version": "1.1"},
    "name": "demo",
    "files": [
        {
            "filename": "demo-1.9-cp39-cp39-manylinux2014_x86_64.whl",
            "url": "../../files/demo-1.9-cp39-cp39-manylinux2014_x86_64.whl",
            "hashes": {"sha256": "02"},
            "requires-python": ">=3.9",
            "upload-time": "2023-01-02T10:00:00.500000Z",
            "yanked": False,
        },
        {"filename": "demo-1.8.tar.gz", "url": "demo-1.8.tar.gz", "hashes": {}, "yanked": "why"},
    ],
}


@dataclasses.dataclass
class Site:
    """What the server sends next; `requests` are the headers of the requests so far."""

    url: str = ""
    status: int = 200
    body: str = PAGE
    media: str = "text/html"
    etag: str = ""
    announce_more: int = 0
    fail_first: int = 0
    requests: list[dict[str, str]] = dataclasses.field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append({name.lower(): value for name, value in self.headers.items()})
            body = state.body.encode()
            status = state.status
            if len(state.requests) <= state.fail_first:
                status = 503
            if state.etag and self.headers.get("If-None-Match") == state.etag:
                status, body = 304, b""
            self.send_response(status)
            self.send_header("Content-Type", state.media)
            self.send_header("Content-Length", str(len(body) + state.announce_more))
            if state.etag:
                self.send_header("ETag", state.etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}/simple"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        server.shutdown()
        thread.join()


def client(site: Site, folder: Path, **options: bool | dt.timedelta) -> CachedIndex:
    return CachedIndex(folder, url=site.url, wait_seconds=0.001, **options)  # type: ignore[arg-type]


def check_demo(project: Project) -> None:
    assert [release.version for release in project.releases] == ["1.8", "1.9", "1.10"]
    eight, nine, ten = project.releases
    assert eight.yanked
    assert not nine.yanked
    assert nine.uploaded == dt.datetime(2023, 1, 1, 10, 0, 0, 123456, tzinfo=dt.timezone.utc)
    wheel = next(file for file in nine.files if file.tags)
    assert wheel.tags == "cp39-cp39-manylinux2014_x86_64"
    assert wheel.requires_python == ">=3.9"
    assert wheel.sha256 == "02"
    assert wheel.url.endswith("/files/ab/demo-1.9-cp39-cp39-manylinux2014_x86_64.whl")
    assert wheel.url.startswith("http://127.0.0.1:")
    assert [file.yanked for file in nine.files] == [False, True]
    assert ten.files[0].tags == ""


def test_html_page_is_read_and_kept(site: Site, tmp_path: Path) -> None:
    check_demo(client(site, tmp_path).project("Demo"))
    assert "application/vnd.pypi.simple.v1+json" in site.requests[0]["accept"]
    check_demo(client(site, tmp_path).project("demo"))
    assert len(site.requests) == 1, "a warm cache sends no request"


def test_json_answer_is_read(site: Site, tmp_path: Path) -> None:
    site.body, site.media = json.dumps(JSON), "application/vnd.pypi.simple.v1+json"
    project = client(site, tmp_path).project("demo")
    assert [release.version for release in project.releases] == ["1.8", "1.9"]
    assert project.releases[0].yanked
    assert project.releases[1].files[0].url == site.url.replace(
        "/simple", "/files/demo-1.9-cp39-cp39-manylinux2014_x86_64.whl"
    )


def test_an_old_answer_is_asked_for_again_and_an_unchanged_one_kept(
    site: Site, tmp_path: Path
) -> None:
    site.etag = '"one"'
    first = client(site, tmp_path).project("demo")
    again = client(site, tmp_path, max_age=dt.timedelta(0)).project("demo")
    assert site.requests[1]["if-none-match"] == '"one"'
    assert again.releases == first.releases
    assert again.fetched > first.fetched
    client(site, tmp_path).project("demo")
    assert len(site.requests) == 2, "the confirmation counts as a fresh answer"


def test_refresh_asks_once_whatever_the_age(site: Site, tmp_path: Path) -> None:
    client(site, tmp_path).project("demo")
    site.body = PAGE.replace("1.10", "1.11")
    index = client(site, tmp_path, refresh=True)
    assert index.project("demo").releases[-1].version == "1.11"
    index.project("demo")
    assert len(site.requests) == 2


def test_a_passing_failure_is_tried_again(site: Site, tmp_path: Path) -> None:
    site.fail_first = 2
    check_demo(client(site, tmp_path).project("demo"))
    assert len(site.requests) == 3


@pytest.mark.parametrize(
    "change",
    [
        {"status": 500},
        {"status": 404},
        {"body": LOGIN},
        {"body": ""},
        {"body": PAGE[: len(PAGE) // 2]},
        {"announce_more": 100},
        {"media": "application/vnd.pypi.simple.v1+json"},
        {"media": "application/json", "body": '{"files": [{"url": "x"}]}'},
        {"media": "application/octet-stream"},
    ],
)
def test_a_bad_answer_never_replaces_a_good_one(
    site: Site, tmp_path: Path, change: dict[str, object]
) -> None:
    with pytest.raises(IndexUnavailableError) as caught:
        client(_set(site, change), tmp_path).project("demo")
    assert caught.value.hint
    _set(site, {"status": 200, "body": PAGE, "media": "text/html", "announce_more": 0})
    good = client(site, tmp_path).project("demo")
    _set(site, change)
    index = client(site, tmp_path, refresh=True)
    assert index.project("demo") == good
    assert "demo" in index.notices[0]
    assert client(site, tmp_path, offline=True).project("demo") == good


def _set(site: Site, change: dict[str, object]) -> Site:
    for name, value in change.items():
        setattr(site, name, value)
    return site


def test_index_down_is_said_without_credentials(tmp_path: Path) -> None:
    index = CachedIndex(tmp_path, url="http://me:secret@127.0.0.1:9/simple", wait_seconds=0.001)
    with pytest.raises(IndexUnavailableError) as caught:
        index.project("demo")
    assert "127.0.0.1" in caught.value.message
    assert "secret" not in caught.value.message


def test_offline_without_an_answer_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(IndexUnavailableError, match="--offline"):
        CachedIndex(tmp_path, url="http://127.0.0.1:9", offline=True).project("demo")


def test_a_damaged_cache_is_read_anew(site: Site, tmp_path: Path) -> None:
    index = client(site, tmp_path)
    index.project("demo")
    path = index.path("demo")
    path.write_text(path.read_text(encoding="utf-8")[:100], encoding="utf-8")
    again = client(site, tmp_path)
    check_demo(again.project("demo"))
    assert any(str(path) in notice for notice in again.notices), "it is named"
    check_demo(client(site, tmp_path, offline=True).project("demo"))


def test_an_answer_of_the_future_is_asked_for_again(site: Site, tmp_path: Path) -> None:
    index = client(site, tmp_path)
    made = index.project("demo")
    future = dataclasses.replace(made, fetched=made.fetched + dt.timedelta(days=400))
    index.path("demo").write_text(dump_project(future), encoding="utf-8")
    again = client(site, tmp_path).project("demo")
    assert len(site.requests) == 2
    assert again.fetched < future.fetched
    client(site, tmp_path).project("demo")
    assert len(site.requests) == 2


def test_no_half_written_file_stays_behind(site: Site, tmp_path: Path) -> None:
    index = client(site, tmp_path)
    index.project("demo")
    assert [path.name for path in index.path("demo").parent.iterdir()] == ["demo.json"]


@pytest.mark.index
def test_the_real_index_tells_what_the_plan_needs(tmp_path: Path) -> None:
    project = CachedIndex(tmp_path).project("flask")
    found = {release.version: release for release in project.releases}
    uploaded = found["0.10"].uploaded
    assert uploaded is not None
    assert uploaded.year == 2013
    assert found["3.1.0"].requires_python == ">=3.9"
