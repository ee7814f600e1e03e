"""Stubs of back ends: what they answer, as clients ask it."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from matrix.model.index import ReleaseFiles
from matrix.model.service import ServiceKind
from matrix.probes.integrations import load_integrations
from matrix.pypi.client import CachedIndex
from matrix.runs.environments import install_for_services
from matrix.services.forwarding import Forwarder, tcp_listener, unix_dial
from matrix.services.pool import Services
from matrix.system.paths import apps_dir, cache_dir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")

HTTP = ("algolia", "consul", "elasticsearch", "opensearch")
BOOKS = "/books/_search"
EMMA = {"query": {"match": {"title": "Emma"}}}


class Client(http.client.HTTPConnection):
    """Speaks HTTP through a Unix socket, and keeps its connection."""

    def __init__(self, path: str) -> None:
        super().__init__("127.0.0.1", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = unix_dial(self._path)()
        self.sock.settimeout(20)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self.request(method, path, content)
        answer = self.getresponse()
        told = answer.read()
        return answer.status, json.loads(told) if told else None


@pytest.fixture(scope="module")
def stubs() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="ts-") as folder, Services(below=Path(folder)) as all_:
        yield all_


@pytest.fixture
def ask_of(stubs: Services) -> Iterator[Callable[[str], Client]]:
    """Returns new clients of stubs by their names."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(
            contextlib.closing(Client(stubs.ensure(name).ways[0].path))
        )


@pytest.fixture(scope="module")
def store(stubs: Services) -> Iterator[Client]:
    with contextlib.closing(Client(stubs.ensure("consul").ways[0].path)) as client:
        yield client


@pytest.fixture
def engine(ask_of: Callable[[str], Client]) -> Client:
    return ask_of("elasticsearch")


@pytest.mark.parametrize("name", HTTP)
def test_a_stub_says_that_it_is_one(stubs: Services, name: str) -> None:
    identity = stubs.ensure(name).identity
    assert identity.kind is ServiceKind.STUB
    assert identity.version == f"{name}-stub/1"


def test_documents_are_found_by_a_word_in_their_own_index(engine: Client) -> None:
    assert engine.ask("PUT", "/books/book/1?refresh=true", {"title": "Emma"})[0] == 201
    assert engine.ask("PUT", "/books/_doc/2", {"title": "Persuasion"})[0] == 201
    assert engine.ask("PUT", "/films/_doc/3", {"title": "Emma"})[0] == 201
    for method in ("GET", "POST"):
        status, found = engine.ask(method, BOOKS, EMMA)
        assert status == 200
        assert isinstance(found, dict)
        assert found["took"] > 0
        assert [hit["_source"] for hit in found["hits"]["hits"]] == [{"title": "Emma"}]
    status, found = engine.ask("POST", BOOKS)
    assert isinstance(found, dict)
    assert found["hits"]["total"]["value"] == 2


def test_an_index_is_made_once_and_one_that_is_not_is_refused(engine: Client) -> None:
    assert engine.ask("HEAD", "/paper") == (404, None)
    assert engine.ask("PUT", "/paper")[0] == 200
    assert engine.ask("HEAD", "/paper") == (200, None)
    assert engine.ask("PUT", "/paper")[0] == 400
    status, found = engine.ask("POST", "/warehouse/_search", EMMA)
    assert status == 404
    assert isinstance(found, dict)
    assert found["error"]["type"] == "index_not_found_exception"


@pytest.mark.parametrize(
    ("name", "header", "words"),
    [("elasticsearch", "Elasticsearch", "Know"), ("opensearch", None, "OpenSearch Project")],
)
def test_the_product_is_told_as_clients_make_sure_of_it(
    ask_of: Callable[[str], Client], name: str, header: str | None, words: str
) -> None:
    client = ask_of(name)
    client.request("GET", "/")
    answer = client.getresponse()
    assert answer.getheader("X-Elastic-Product") == header
    assert words in json.loads(answer.read())["tagline"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
def test_what_is_no_json_object_is_refused_and_the_connection_goes_on(
    engine: Client, body: bytes
) -> None:
    assert engine.ask("POST", BOOKS, body)[0] == 400
    assert engine.ask("GET", "/")[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: 99999999",
        "Content-Length: -1",
        "Content-Length: many",
        "Transfer-Encoding: chunked",
    ],
)
def test_what_says_no_length_or_too_large_a_one_is_refused(engine: Client, header: str) -> None:
    with unix_dial(engine._path)() as sock:
        sock.settimeout(20)
        sock.sendall(f"POST {BOOKS} HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n".encode())
        assert b" 413 " in sock.recv(100)


def test_nobody_waits_for_a_client_that_says_nothing(engine: Client) -> None:
    with unix_dial(engine._path)() as mute:
        mute.sendall(b"GET /")
        assert engine.ask("GET", "/")[0] == 200


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(key=st.text(min_size=1, max_size=20).map(lambda text: "k" + text), value=st.binary())
def test_what_is_kept_is_what_was_given(store: Client, key: str, value: bytes) -> None:
    path = "/v1/kv/" + quote(key.replace("/", "-").encode("utf-8", "replace"), safe="")
    assert store.ask("PUT", path, value) == (200, True)
    status, found = store.ask("GET", path)
    assert status == 200
    assert isinstance(found, list)
    assert base64.b64decode(found[0]["Value"]) == value
    assert store.ask("DELETE", path) == (200, True)
    assert store.ask("GET", path) == (404, None)


def test_there_is_one_data_centre(store: Client) -> None:
    assert store.ask("PUT", "/v1/kv/a/b?dc=dc1", b"Emma")[0] == 200
    assert store.ask("GET", "/v1/kv/a/b?dc=nowhere") == (500, "No path to datacenter")


@pytest.mark.parametrize("body", [{"query": "emma"}, {"params": "query=Emma&page=0"}])
def test_a_book_is_found_as_clients_of_all_times_ask_for_it(
    ask_of: Callable[[str], Client], body: object
) -> None:
    client = ask_of("algolia")
    status, found = client.ask("POST", "/1/indexes/books/query", body)
    assert status == 200
    assert isinstance(found, dict)
    assert [hit["title"] for hit in found["hits"]] == ["Emma"]
    assert found["nbHits"] == 1
    assert client.ask("POST", "/1/indexes/warehouse/query", body)[0] == 404
    assert client.ask("GET", "/1/keys")[0] == 404


# The app's own module is what the newest client is tried with: nothing else talks to the stub.
TRY = """
import importlib, os, sys
from carrier import Place
module = importlib.import_module("libraries." + sys.argv[1].replace("-", "_"))
place = Place(os.environ, module.SERVICE, "s1")
place = place.at("s1", module.prepare(place))
print(module.call(place))
try:
    module.fail(place)
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.services
@pytest.mark.index
@pytest.mark.parametrize(
    ("slug", "found", "error"),
    [
        ("algoliasearch", "emma", "RequestException"),
        ("cassandra", "Emma", "InvalidRequest"),
        ("consul", "Emma", "ConsulException"),
        ("elasticsearch", "Emma", "NotFoundError"),
        ("mongoengine", "Emma", "OperationFailure"),
        ("opensearch", "Emma", "NotFoundError"),
        ("pymongo", "Emma", "OperationFailure"),
        ("snowflake-connector-python", "Emma", "ProgrammingError"),
        ("vertica", "Emma", "MissingRelation"),
    ],
)
def test_the_newest_client_works_with_a_stub_of_its_server(
    stubs: Services, slug: str, found: str, error: str
) -> None:
    module = load_integrations()[slug]
    service = stubs.ensure(module.service)
    releases = CachedIndex(cache_dir() / "index").project(module.distribution).releases
    newest = next(release for release in reversed(releases) if runs_here(release))
    wanted = [f"{module.distribution}=={newest.version}"]
    python = install_for_services(wanted, dt.datetime.now(tz=dt.timezone.utc).date())
    leading = Forwarder(tcp_listener(), unix_dial(service.ways[0].path))
    try:
        done = subprocess.run(
            [str(python), "-c", TRY, slug],
            env={
                "PATH": os.defpath,
                "PYTHONPATH": str(apps_dir()),
                **service.variables([leading.port]),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        leading.close()
    assert done.stdout.splitlines() == [found, error], done.stderr


def runs_here(release: ReleaseFiles) -> bool:
    if Version(release.version).is_prerelease:
        return False
    return ".".join(map(str, sys.version_info[:3])) in SpecifierSet(release.requires_python)
