"""Stubs with wire protocols of their own: what clients of old and new times are told."""

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
from matrix.services.forwarding import unix_dial
from matrix.services.pool import Services

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")

Ask = Callable[[str], "Talk"]


class Talk:
    def __init__(self, path: str) -> None:
        self.sock: socket.socket = unix_dial(path)()
        self.sock.settimeout(20)

    def take(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := self.sock.recv(count - len(data))):
            data += piece
        return data

    def close(self) -> None:
        self.sock.close()


@pytest.fixture(scope="module")
def stubs() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="tw-") as folder, Services(below=Path(folder)) as all_:
        yield all_


@pytest.fixture(scope="module")
def talk_to(stubs: Services) -> Iterator[Ask]:
    with contextlib.ExitStack() as stack:

        def of(name: str) -> Talk:
            path = stubs.ensure(name).ways[0].path
            return stack.enter_context(contextlib.closing(Talk(path)))

        yield of


@pytest.mark.parametrize(
    ("name", "told"), [("cassandra", "Cassandra 3.11.0"), ("vertica", "Vertica v24.1.0-stub")]
)
def test_a_stub_says_that_it_is_one(stubs: Services, name: str, told: str) -> None:
    service = stubs.ensure(name)
    assert service.identity.kind is ServiceKind.STUB
    assert told in service.identity.version


def frame(talk: Talk, version: int, opcode: int, body: bytes) -> tuple[int, int, bytes]:
    talk.sock.sendall(struct.pack("!BBhBi", version, 0, 7, opcode, len(body)) + body)
    said, _, stream, kind, size = struct.unpack("!BBhBi", talk.take(9))
    assert stream == 7
    return said, kind, talk.take(size)


def cql(talk: Talk, query: str) -> tuple[int, bytes]:
    words = query.encode()
    _, kind, said = frame(talk, 4, 7, struct.pack("!i", len(words)) + words + b"\0\1\0")
    return kind, said


@pytest.mark.parametrize(
    ("query", "kind", "words"),
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
def test_cassandra_finds_what_is_there(talk_to: Ask, query: str, kind: int, words: bytes) -> None:
    told, said = cql(talk_to("cassandra"), query)
    assert told == kind
    assert said.endswith(words)


@pytest.mark.parametrize("version", [2, 5, 66])
def test_cassandra_refuses_other_versions_so_that_drivers_step_down(
    talk_to: Ask, version: int
) -> None:
    talk = talk_to("cassandra")
    said, kind, body = frame(talk, version, 1, b"\0\0")
    assert (said, kind) == (0x84, 0)
    assert b"Invalid or unsupported protocol version" in body
    assert frame(talk, 3, 1, b"\0\0")[:2] == (0x83, 2)


def message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def until_ready(talk: Talk) -> dict[bytes, bytes]:
    said = {}
    while True:
        kind = talk.take(1)
        said[kind] = talk.take(struct.unpack("!I", talk.take(4))[0] - 4)
        if kind == b"Z":
            return said


def log_in(talk: Talk, version: int) -> None:
    talk.sock.sendall(message(b"", struct.pack("!I", version) + b"user\0bookshop\0\0"))
    assert talk.take(9) == b"R\0\0\0\x08\0\0\0\x03"
    talk.sock.sendall(message(b"p", b"bookshop\0"))
    assert b"protocol_version" in until_ready(talk)[b"S"]


# What a row's description is long: 18 bytes and the name in the protocol of old; with the pool of
# types before and longer numbers of tables from 3.4 on.
@pytest.mark.parametrize(("minor", "size"), [(0, 2 + 6 + 18), (5, 2 + 4 + 6 + 8 + 2 + 17)])
def test_vertica_describes_columns_as_the_client_s_time_has_it(
    talk_to: Ask, minor: int, size: int
) -> None:
    talk = talk_to("vertica")
    log_in(talk, 3 << 16 | minor)
    talk.sock.sendall(message(b"Q", b"SELECT title FROM books\0"))
    said = until_ready(talk)
    assert said[b"D"].endswith(b"\0\0\0\x04Emma")
    assert len(said[b"T"]) == size


def test_vertica_refuses_what_is_not_there_and_goes_on(talk_to: Ask) -> None:
    talk = talk_to("vertica")
    # A client that would like to have TLS is told that there is none.
    talk.sock.sendall(struct.pack("!II", 8, 80877103))
    assert talk.take(1) == b"N"
    log_in(talk, 3 << 16 | 5)
    talk.sock.sendall(message(b"Q", b"SELECT copies FROM warehouse\0"))
    assert b'MRelation "warehouse" does not exist' in until_ready(talk)[b"E"]
    talk.sock.sendall(message(b"P", b"") + message(b"Q", b"COMMIT\0"))
    assert b"simple queries only" in until_ready(talk)[b"E"]
    assert until_ready(talk)[b"C"] == b"COMMIT\0"


def bson(**words: str) -> bytes:
    body = b"".join(
        b"\x02" + key.encode() + b"\0" + struct.pack("<i", len(value) + 1) + value.encode() + b"\0"
        for key, value in words.items()
    )
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def mongo(talk: Talk, kind: int, body: bytes) -> bytes:
    talk.sock.sendall(struct.pack("<iiii", len(body) + 16, 7, 0, kind) + body)
    size, _, to, _ = struct.unpack("<iiii", talk.take(16))
    assert to == 7
    return talk.take(size - 16)


def old_query(name: bytes, wanted: bytes) -> bytes:
    return struct.pack("<i", 0) + name + b"\0" + struct.pack("<ii", 0, 1) + wanted


@pytest.fixture(scope="module")
def mongodb(stubs: Services, talk_to: Ask) -> Talk:
    if stubs.ensure("mongodb").identity.kind is not ServiceKind.STUB:
        pytest.skip("a real server is here")
    return talk_to("mongodb")


def test_mongodb_finds_books_in_both_forms_of_the_protocol(mongodb: Talk) -> None:
    old = mongo(mongodb, 2004, old_query(b"bookshop.books", bson(slug="emma")))
    assert struct.unpack("<iqii", old[:20]) == (0, 0, 0, 1)
    assert b"Emma" in old
    filter_ = b"\x03filter\0" + bson(slug="persuasion")
    asked = b"\x02find\0\x06\0\0\0books\0" + filter_ + b"\0"
    asked = struct.pack("<i", len(asked) + 4) + asked
    new = mongo(mongodb, 2013, struct.pack("<IB", 0, 0) + asked)
    assert b"firstBatch" in new
    assert b"Emma" not in new


def test_mongodb_refuses_operators_and_commands_that_it_does_not_know(mongodb: Talk) -> None:
    old = mongo(mongodb, 2004, old_query(b"bookshop.books", bson(**{"$nearby": "emma"})))
    assert struct.unpack("<i", old[:4]) == (2,)
    assert b"unknown top level operator: $nearby" in old
    new = mongo(mongodb, 2013, struct.pack("<IB", 0, 0) + bson(mapReduce="books"))
    assert b"no such command: 'mapReduce'" in new
    hello = mongo(mongodb, 2004, old_query(b"admin.$cmd", bson(isMaster="1")))
    assert b"maxWireVersion" in hello


def snowflake(talk: Talk, path: str, body: bytes, encoding: str = "") -> dict[str, object]:
    head = f"POST {path} HTTP/1.0\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Encoding: {encoding}\r\n" if encoding else ""
    talk.sock.sendall(head.encode() + b"\r\n" + body)
    told = b"".join(iter(lambda: talk.sock.recv(4096), b""))
    said: dict[str, object] = json.loads(told.partition(b"\r\n\r\n")[2])
    return said


def test_snowflake_tells_at_login_what_drivers_of_all_times_want(talk_to: Ask) -> None:
    said = snowflake(talk_to("snowflake"), "/session/v1/login-request", b"{}")
    assert said["success"]
    assert "masterToken" in str(said["data"])


@pytest.mark.parametrize("encoding", ["", "gzip"])
@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("SELECT 'Emma'", [["Emma"]]),
        ("ALTER SESSION SET TIMEZONE = 'UTC'", [["Statement executed successfully."]]),
        ("SELECT copies FROM warehouse", "Object 'WAREHOUSE' does not exist or not authorized."),
        ("DROP TABLE books", "syntax error line 1 at position 0."),
    ],
)
def test_snowflake_answers_as_json(
    talk_to: Ask, statement: str, found: object, encoding: str
) -> None:
    body = json.dumps({"sqlText": statement}).encode()
    body = gzip.compress(body) if encoding else body
    said = snowflake(talk_to("snowflake"), "/queries/v1/query-request", body, encoding)
    if isinstance(found, str):
        assert not said["success"]
        assert str(said["message"]).endswith(found)
    else:
        data = said["data"]
        assert isinstance(data, dict)
        assert (data["queryResultFormat"], data["rowset"]) == ("json", found)


@pytest.mark.parametrize("body", [b"[]", b"{}", b"\xff", b'{"sqlText": 1}'])
def test_snowflake_refuses_what_is_no_query(talk_to: Ask, body: bytes) -> None:
    said = snowflake(talk_to("snowflake"), "/queries/v1/query-request", body)
    assert "message" in said
    assert snowflake(talk_to("snowflake"), "/session/v1/login-request", b"")["success"]


@pytest.mark.parametrize("name", ["cassandra", "vertica", "mongodb"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(noise=st.binary(max_size=64))
def test_noise_harms_nobody_else(stubs: Services, name: str, noise: bytes) -> None:
    service = stubs.ensure(name)
    if service.identity.kind is not ServiceKind.STUB:
        pytest.skip("a real server is here")
    path = service.ways[0].path
    with contextlib.closing(Talk(path)) as noisy:
        noisy.sock.sendall(noise)
        noisy.sock.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while noisy.sock.recv(4096):
                pass
    assert stubs.lost(service) == ""


def test_snowflake_unpacks_no_more_of_a_query_than_it_may_have(talk_to: Ask) -> None:
    body = gzip.compress(b" " * (64 << 20))
    said = snowflake(talk_to("snowflake"), "/queries/v1/query-request", body, "gzip")
    assert "too large" in str(said["message"])
