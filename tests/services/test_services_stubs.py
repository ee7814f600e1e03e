"""HTTP stubs of services: their responses to the requests of clients."""

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
from matrix.runs.environments import service_interpreter
from matrix.services.forwarder import Forwarder, tcp_listener, unix_dial
from matrix.services.pool import Services
from matrix.system.paths import apps_dir, cache_dir

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")

HTTP = ("algolia", "consul", "cosmos", "elasticsearch", "models", "opensearch")
BOOKS = "/books/_search"
EMMA = {"query": {"match": {"title": "Emma"}}}


class Client(http.client.HTTPConnection):
    """An HTTP client of a Unix socket, which keeps its connection."""

    def __init__(self, path: str) -> None:
        super().__init__("127.0.0.1", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = unix_dial(self.path)()
        self.sock.settimeout(20)

    def call(self, method: str, path: str, body: object = None) -> tuple[int, object]:
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        self.request(method, path, content)
        response = self.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None


@pytest.fixture(scope="module")
def stubs() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="ts-") as folder, Services(below=Path(folder)) as stubs:
        yield stubs


@pytest.fixture
def client_of(stubs: Services) -> Iterator[Callable[[str], Client]]:
    """A function that returns a new client of the stub with a name."""
    with contextlib.ExitStack() as stack:
        yield lambda name: stack.enter_context(
            contextlib.closing(Client(stubs.ensure(name).forwards[0].path))
        )


@pytest.fixture(scope="module")
def store(stubs: Services) -> Iterator[Client]:
    with contextlib.closing(Client(stubs.ensure("consul").forwards[0].path)) as client:
        yield client


@pytest.fixture
def engine(client_of: Callable[[str], Client]) -> Client:
    return client_of("elasticsearch")


@pytest.mark.parametrize("name", HTTP)
def test_a_stub_identifies_itself_as_one(stubs: Services, name: str) -> None:
    identity = stubs.ensure(name).identity
    assert identity.kind is ServiceKind.STUB
    assert identity.version == f"{name}-stub/1"


def test_documents_are_found_by_a_word_in_their_own_index(engine: Client) -> None:
    assert engine.call("PUT", "/books/book/1?refresh=true", {"title": "Emma"})[0] == 201
    assert engine.call("PUT", "/books/_doc/2", {"title": "Persuasion"})[0] == 201
    assert engine.call("PUT", "/films/_doc/3", {"title": "Emma"})[0] == 201
    for method in ("GET", "POST"):
        status, result = engine.call(method, BOOKS, EMMA)
        assert status == 200
        assert isinstance(result, dict)
        assert result["took"] > 0
        assert [hit["_source"] for hit in result["hits"]["hits"]] == [{"title": "Emma"}]
    status, result = engine.call("POST", BOOKS)
    assert isinstance(result, dict)
    assert result["hits"]["total"]["value"] == 2


def test_an_index_is_created_once_and_an_unknown_one_is_an_error(engine: Client) -> None:
    assert engine.call("HEAD", "/paper") == (404, None)
    assert engine.call("PUT", "/paper")[0] == 200
    assert engine.call("HEAD", "/paper") == (200, None)
    assert engine.call("PUT", "/paper")[0] == 400
    status, result = engine.call("POST", "/warehouse/_search", EMMA)
    assert status == 404
    assert isinstance(result, dict)
    assert result["error"]["type"] == "index_not_found_exception"


@pytest.mark.parametrize(
    ("name", "header", "tagline"),
    [("elasticsearch", "Elasticsearch", "Know"), ("opensearch", None, "OpenSearch Project")],
)
def test_the_product_is_what_clients_verify(
    client_of: Callable[[str], Client], name: str, header: str | None, tagline: str
) -> None:
    client = client_of(name)
    client.request("GET", "/")
    response = client.getresponse()
    assert response.getheader("X-Elastic-Product") == header
    assert tagline in json.loads(response.read())["tagline"]


@pytest.mark.parametrize("body", [b"{", b"[1]", b"\xff"])
def test_invalid_json_is_an_error_and_the_connection_stays_open(
    engine: Client, body: bytes
) -> None:
    assert engine.call("POST", BOOKS, body)[0] == 400
    assert engine.call("GET", "/")[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: 99999999",
        "Content-Length: -1",
        "Content-Length: many",
        "Transfer-Encoding: chunked",
    ],
)
def test_a_body_without_a_valid_length_is_refused(engine: Client, header: str) -> None:
    with unix_dial(engine.path)() as sock:
        sock.settimeout(20)
        sock.sendall(f"POST {BOOKS} HTTP/1.1\r\nHost: a\r\n{header}\r\n\r\n".encode())
        assert b" 413 " in sock.recv(100)


def test_a_silent_client_does_not_block_others(engine: Client) -> None:
    with unix_dial(engine.path)() as silent:
        silent.sendall(b"GET /")
        assert engine.call("GET", "/")[0] == 200


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(key=st.text(min_size=1, max_size=20).map(lambda text: "k" + text), value=st.binary())
def test_a_value_is_stored_unchanged(store: Client, key: str, value: bytes) -> None:
    path = "/v1/kv/" + quote(key.replace("/", "-").encode("utf-8", "replace"), safe="")
    assert store.call("PUT", path, value) == (200, True)
    status, result = store.call("GET", path)
    assert status == 200
    assert isinstance(result, list)
    assert base64.b64decode(result[0]["Value"]) == value
    assert store.call("DELETE", path) == (200, True)
    assert store.call("GET", path) == (404, None)


def test_there_is_one_data_center(store: Client) -> None:
    assert store.call("PUT", "/v1/kv/a/b?dc=dc1", b"Emma")[0] == 200
    assert store.call("GET", "/v1/kv/a/b?dc=nowhere") == (500, "No path to datacenter")


@pytest.mark.parametrize("body", [{"query": "emma"}, {"params": "query=Emma&page=0"}])
def test_queries_of_old_and_new_clients_find_a_book(
    client_of: Callable[[str], Client], body: object
) -> None:
    client = client_of("algolia")
    status, result = client.call("POST", "/1/indexes/books/query", body)
    assert status == 200
    assert isinstance(result, dict)
    assert [hit["title"] for hit in result["hits"]] == ["Emma"]
    assert result["nbHits"] == 1
    assert client.call("POST", "/1/indexes/warehouse/query", body)[0] == 404
    assert client.call("GET", "/1/keys")[0] == 404


# Runs the newest client by the module of the sample app that uses it.
TRY = """
import importlib, os, sys
from carrier import CallContext
module = importlib.import_module("libraries." + sys.argv[1].replace("-", "_"))
context = CallContext(os.environ, module.SERVICE, "s1")
context = context.for_request("s1", module.prepare(context))
print(module.call(context))
try:
    module.fail(context)
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.services
@pytest.mark.index
@pytest.mark.parametrize(
    ("slug", "output", "error"),
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
    stubs: Services, slug: str, output: str, error: str
) -> None:
    module = load_integrations()[slug]
    service = stubs.ensure(module.service)
    distribution = module.distributions[-1].name
    releases = CachedIndex(cache_dir() / "index").project(distribution).releases
    newest = next(release for release in reversed(releases) if supports_this_python(release))
    requirements = [f"{distribution}=={newest.version}"]
    python = service_interpreter(requirements, dt.datetime.now(tz=dt.timezone.utc).date())
    forwarder = Forwarder(tcp_listener(), unix_dial(service.forwards[0].path))
    try:
        process = subprocess.run(
            [str(python), "-c", TRY, slug],
            env={
                "PATH": os.defpath,
                "PYTHONPATH": str(apps_dir()),
                **service.variables([forwarder.port]),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    finally:
        forwarder.close()
    assert process.stdout.splitlines() == [output, error], process.stderr


def supports_this_python(release: ReleaseFiles) -> bool:
    if Version(release.version).is_prerelease:
        return False
    return ".".join(map(str, sys.version_info[:3])) in SpecifierSet(release.requires_python)


def test_cosmos_keeps_items_of_a_container_by_their_id(client_of: Callable[[str], Client]) -> None:
    cosmos, container = client_of("cosmos"), "/dbs/bookshop/colls/books"
    assert cosmos.call("GET", f"{container}/docs/emma")[0] == 404
    status, kept = cosmos.call("POST", f"{container}/docs/", {"id": "emma", "title": "Emma"})
    assert (status, kept) == (201, {"id": "emma", "title": "Emma", "_rid": "emma", "_etag": "1"})
    assert cosmos.call("GET", f"{container}/docs/emma/") == (200, kept)
    status, described = cosmos.call("GET", container)
    assert status == 200
    assert isinstance(described, dict)
    assert (described["id"], described["partitionKey"]["paths"]) == ("books", ["/id"])


@pytest.mark.parametrize("body", [{"title": "Emma"}, {"id": 7}, {"id": "q", "query": "SELECT 1"}])
def test_cosmos_refuses_queries_and_items_without_an_id(
    client_of: Callable[[str], Client], body: dict[str, object]
) -> None:
    status, error = client_of("cosmos").call("POST", "/dbs/bookshop/colls/books/docs", body)
    assert status == 400
    assert isinstance(error, dict)
    assert error["code"] == "BadRequest"
