"""Stubs with their own wire protocols: their replies to old and new clients."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix.model.service import ServiceKind
from matrix.services.forwarder import unix_dial
from matrix.services.pool import Services

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")


class WireClient:
    def __init__(self, path: str) -> None:
        self.sock: socket.socket = unix_dial(path)()
        self.sock.settimeout(20)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := self.sock.recv(count - len(data))):
            data += piece
        return data

    def close(self) -> None:
        self.sock.close()


Connect = Callable[[str], WireClient]


@pytest.fixture(scope="module")
def stubs() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="tw-") as folder, Services(below=Path(folder)) as stubs:
        yield stubs


@pytest.fixture(scope="module")
def connect_to(stubs: Services) -> Iterator[Connect]:
    with contextlib.ExitStack() as stack:

        def connect(name: str) -> WireClient:
            path = stubs.ensure(name).forwards[0].path
            return stack.enter_context(contextlib.closing(WireClient(path)))

        yield connect


@pytest.mark.parametrize(
    ("name", "version"), [("cassandra", "Cassandra 3.11.0"), ("vertica", "Vertica v24.1.0-stub")]
)
def test_a_stub_identifies_itself_as_one(stubs: Services, name: str, version: str) -> None:
    service = stubs.ensure(name)
    assert service.identity.kind is ServiceKind.STUB
    assert version in service.identity.version


def frame(client: WireClient, version: int, opcode: int, body: bytes) -> tuple[int, int, bytes]:
    client.sock.sendall(struct.pack("!BBhBi", version, 0, 7, opcode, len(body)) + body)
    reply_version, _, stream, kind, size = struct.unpack("!BBhBi", client.read(9))
    assert stream == 7
    return reply_version, kind, client.read(size)


def cql(client: WireClient, query: str) -> tuple[int, bytes]:
    text = query.encode()
    _, kind, body = frame(client, 4, 7, struct.pack("!i", len(text)) + text + b"\0\1\0")
    return kind, body


@pytest.mark.parametrize(
    ("query", "kind", "end"),
    [
        ("SELECT title FROM books WHERE slug = 'emma'", 8, b"\0\0\0\x04Emma"),
        ("select * from bookshop.books", 8, b"\0\0\0\x04emma\0\0\0\x04Emma"),
        ("SELECT title FROM books WHERE slug = 'persuasion'", 8, b"\0\0\0\0"),
        ("SELECT * FROM system_schema.tables", 8, b"\0\0\0\0"),
        ('USE "bookshop"', 8, b"bookshop"),
        ("SELECT copies FROM warehouse", 0, b"unconfigured table warehouse"),
        ("SELECT copies FROM books", 0, b"Undefined column name copies"),
        ("SELECT * FROM system.peers_v2", 0, b"unconfigured table peers_v2"),
        ("DROP TABLE books", 0, b"no viable alternative"),
    ],
)
def test_cassandra_answers_queries(connect_to: Connect, query: str, kind: int, end: bytes) -> None:
    reply_kind, body = cql(connect_to("cassandra"), query)
    assert reply_kind == kind
    assert body.endswith(end)


@pytest.mark.parametrize("version", [2, 5, 66])
def test_cassandra_refuses_other_versions_so_that_drivers_downgrade(
    connect_to: Connect, version: int
) -> None:
    client = connect_to("cassandra")
    reply_version, kind, body = frame(client, version, 1, b"\0\0")
    assert (reply_version, kind) == (0x84, 0)
    assert b"Invalid or unsupported protocol version" in body
    assert frame(client, 3, 1, b"\0\0")[:2] == (0x83, 2)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def read_until_ready(client: WireClient) -> dict[bytes, bytes]:
    messages = {}
    while True:
        kind = client.read(1)
        messages[kind] = client.read(struct.unpack("!I", client.read(4))[0] - 4)
        if kind == b"Z":
            return messages


def log_in(client: WireClient, version: int) -> None:
    client.sock.sendall(message(b"", struct.pack("!I", version) + b"user\0bookshop\0\0"))
    assert client.read(9) == b"R\0\0\0\x08\0\0\0\x03"
    client.sock.sendall(message(b"p", b"bookshop\0"))
    assert b"protocol_version" in read_until_ready(client)[b"S"]


# The length of a row's description: 18 bytes and the name in the old protocol; from 3.4 on there is
# a pool of types first, and numbers of tables are longer.
@pytest.mark.parametrize(("minor", "size"), [(0, 2 + 6 + 18), (5, 2 + 4 + 6 + 8 + 2 + 17)])
def test_vertica_describes_columns_in_the_version_of_the_client(
    connect_to: Connect, minor: int, size: int
) -> None:
    client = connect_to("vertica")
    log_in(client, 3 << 16 | minor)
    client.sock.sendall(message(b"Q", b"SELECT title FROM books\0"))
    messages = read_until_ready(client)
    assert messages[b"D"].endswith(b"\0\0\0\x04Emma")
    assert len(messages[b"T"]) == size


def test_vertica_reports_unknown_tables_and_goes_on(connect_to: Connect) -> None:
    client = connect_to("vertica")
    # The reply to a request for TLS is that there is none.
    client.sock.sendall(struct.pack("!II", 8, 80877103))
    assert client.read(1) == b"N"
    log_in(client, 3 << 16 | 5)
    client.sock.sendall(message(b"Q", b"SELECT copies FROM warehouse\0"))
    assert b'MRelation "warehouse" does not exist' in read_until_ready(client)[b"E"]
    client.sock.sendall(message(b"P", b"") + message(b"Q", b"COMMIT\0"))
    assert b"simple queries only" in read_until_ready(client)[b"E"]
    assert read_until_ready(client)[b"C"] == b"COMMIT\0"


def bson(**fields: str) -> bytes:
    body = b"".join(
        b"\x02" + key.encode() + b"\0" + struct.pack("<i", len(value) + 1) + value.encode() + b"\0"
        for key, value in fields.items()
    )
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def mongo(client: WireClient, kind: int, body: bytes) -> bytes:
    client.sock.sendall(struct.pack("<iiii", len(body) + 16, 7, 0, kind) + body)
    size, _, reply_to, _ = struct.unpack("<iiii", client.read(16))
    assert reply_to == 7
    return client.read(size - 16)


def old_query(name: bytes, query: bytes) -> bytes:
    return struct.pack("<i", 0) + name + b"\0" + struct.pack("<ii", 0, 1) + query


@pytest.fixture(scope="module")
def mongodb(stubs: Services, connect_to: Connect) -> WireClient:
    if stubs.ensure("mongodb").identity.kind is not ServiceKind.STUB:
        pytest.skip("a real server is installed here")
    return connect_to("mongodb")


def test_mongodb_finds_books_in_both_forms_of_the_protocol(mongodb: WireClient) -> None:
    old = mongo(mongodb, 2004, old_query(b"bookshop.books", bson(slug="emma")))
    assert struct.unpack("<iqii", old[:20]) == (0, 0, 0, 1)
    assert b"Emma" in old
    filter_ = b"\x03filter\0" + bson(slug="persuasion")
    command = b"\x02find\0\x06\0\0\0books\0" + filter_ + b"\0"
    command = struct.pack("<i", len(command) + 4) + command
    new = mongo(mongodb, 2013, struct.pack("<IB", 0, 0) + command)
    assert b"firstBatch" in new
    assert b"Emma" not in new


def test_mongodb_refuses_operators_and_commands_that_it_does_not_know(mongodb: WireClient) -> None:
    old = mongo(mongodb, 2004, old_query(b"bookshop.books", bson(**{"$nearby": "emma"})))
    assert struct.unpack("<i", old[:4]) == (2,)
    assert b"unknown top level operator: $nearby" in old
    new = mongo(mongodb, 2013, struct.pack("<IB", 0, 0) + bson(mapReduce="books"))
    assert b"no such command: 'mapReduce'" in new
    hello = mongo(mongodb, 2004, old_query(b"admin.$cmd", bson(isMaster="1")))
    assert b"maxWireVersion" in hello


def snowflake(client: WireClient, path: str, body: bytes, encoding: str = "") -> dict[str, object]:
    head = f"POST {path} HTTP/1.0\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Encoding: {encoding}\r\n" if encoding else ""
    client.sock.sendall(head.encode() + b"\r\n" + body)
    response = b"".join(iter(lambda: client.sock.recv(4096), b""))
    content: dict[str, object] = json.loads(response.partition(b"\r\n\r\n")[2])
    return content


def test_snowflake_answers_a_login_for_drivers_of_all_versions(connect_to: Connect) -> None:
    reply = snowflake(connect_to("snowflake"), "/session/v1/login-request", b"{}")
    assert reply["success"]
    assert "masterToken" in str(reply["data"])


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 'Emma'", [["Emma"]]),
        ("ALTER SESSION SET TIMEZONE = 'UTC'", [["Statement executed successfully."]]),
        ("SELECT copies FROM warehouse", "Object 'WAREHOUSE' does not exist or not authorized."),
        ("DROP TABLE books", "syntax error line 1 at position 0."),
    ],
)
def test_snowflake_answers_as_json(
    connect_to: Connect, statement: str, expected: object, encoding: str
) -> None:
    body = json.dumps({"sqlText": statement}).encode()
    body = gzip.compress(body) if encoding else body
    reply = snowflake(connect_to("snowflake"), "/queries/v1/query-request", body, encoding)
    if isinstance(expected, str):
        assert not reply["success"]
        assert str(reply["message"]).endswith(expected)
    else:
        data = reply["data"]
        assert isinstance(data, dict)
        assert (data["queryResultFormat"], data["rowset"]) == ("json", expected)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff", b'{"sqlText": 1}'])
def test_snowflake_refuses_an_invalid_query(connect_to: Connect, body: bytes) -> None:
    reply = snowflake(connect_to("snowflake"), "/queries/v1/query-request", body)
    assert "message" in reply
    assert snowflake(connect_to("snowflake"), "/session/v1/login-request", b"")["success"]


@pytest.mark.parametrize("name", ["cassandra", "vertica", "mongodb"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=64))
def test_random_bytes_do_not_affect_other_clients(stubs: Services, name: str, noise: bytes) -> None:
    service = stubs.ensure(name)
    if service.identity.kind is not ServiceKind.STUB:
        pytest.skip("a real server is installed here")
    path = service.forwards[0].path
    with contextlib.closing(WireClient(path)) as noisy:
        noisy.sock.sendall(noise)
        noisy.sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while noisy.sock.recv(4096):
                pass
    assert stubs.loss_reason(service) == ""


def test_snowflake_limits_the_size_of_a_decompressed_query(connect_to: Connect) -> None:
    body = gzip.compress(b" " * (64 << 20))
    reply = snowflake(connect_to("snowflake"), "/queries/v1/query-request", body, "gzip")
    assert "too large" in str(reply["message"])
