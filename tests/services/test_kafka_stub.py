"""The stub of Kafka: its answers to a producer and to a group of consumers."""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from matrix.model.service import ServiceKind
from matrix.services.forwarder import unix_dial
from matrix.services.pool import Services

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Unix sockets and /proc")

PRODUCE, FETCH, LIST_OFFSETS, METADATA = 0, 1, 2, 3
COMMIT, FETCH_OFFSETS, JOIN, SYNC, VERSIONS = 8, 9, 11, 14, 18
# A batch of two records of format 2; a broker looks at its size, its format and its last offset.
BATCH = struct.pack("!qiiBIhi", 0, 49, 0, 2, 0, 0, 1) + bytes(34)
Ask = Callable[..., bytes]


@pytest.fixture(scope="module")
def stubs() -> Iterator[Services]:
    with tempfile.TemporaryDirectory(prefix="tk-") as folder, Services(below=Path(folder)) as stubs:
        yield stubs


@pytest.fixture
def ask(stubs: Services) -> Iterator[Ask]:
    """Yield a function that returns the answer to a request, b"" where there is none."""
    sock: socket.socket = unix_dial(stubs.ensure("kafka").forwards[0].path)()

    def read(count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := sock.recv(count - len(data))):
            data += piece
        return data

    def ask(key: int, version: int, body: bytes, *, answered: bool = True) -> bytes:
        request = struct.pack("!hhih", key, version, 7, -1) + body
        sock.sendall(data(request))
        head = read(8) if answered else b""
        if not head:
            return b""
        size, correlation = struct.unpack("!ii", head)
        assert correlation == 7
        return read(size - 4)

    with contextlib.closing(sock):
        sock.settimeout(20)
        yield ask


def text(value: str) -> bytes:
    return struct.pack("!h", len(value)) + value.encode()


def data(value: bytes) -> bytes:
    return struct.pack("!i", len(value)) + value


def array(*items: bytes) -> bytes:
    return struct.pack("!i", len(items)) + b"".join(items)


def produce(ask: Ask, topic: str, acks: int = 1) -> bytes:
    partition = array(struct.pack("!i", 0) + data(BATCH))
    head = struct.pack("!hhi", -1, acks, 1000)
    return ask(PRODUCE, 3, head + array(text(topic) + partition), answered=acks != 0)


def fetch(ask: Ask, topic: str, offset: int, milliseconds: int = 0) -> bytes:
    partition = array(struct.pack("!iqi", 0, offset, 1 << 20))
    head = struct.pack("!iiiib", -1, milliseconds, 1, 1 << 20, 0)
    return ask(FETCH, 4, head + array(text(topic) + partition))


def test_the_stub_identifies_itself_as_one(stubs: Services) -> None:
    identity = stubs.ensure("kafka").identity
    assert identity.kind is ServiceKind.STUB
    assert identity.version == "Kafka, cluster bookshop-stub-1"


def test_an_unknown_version_of_the_versions_is_answered_with_those_that_are_known(ask: Ask) -> None:
    old, new = ask(VERSIONS, 0, b""), ask(VERSIONS, 4, b"\0")
    assert (old[:2], new[:2]) == (b"\0\0", b"\0\x23")
    assert old[2:] == new[2:]
    assert struct.pack("!hhh", FETCH, 4, 4) in old


def test_the_broker_says_the_port_at_which_a_client_reaches_it(stubs: Services, ask: Ask) -> None:
    port = stubs.ensure("kafka").forwards[0].port
    assert port
    broker = struct.pack("!i", 0) + text("127.0.0.1") + struct.pack("!i", port)
    answer = ask(METADATA, 5, array(text("books")) + b"\1")
    assert broker in answer
    assert text("bookshop-stub-1") in answer
    assert text("books") in answer


def test_a_topic_with_a_name_that_brokers_refuse_is_refused(ask: Ask) -> None:
    answer = ask(METADATA, 1, array(text("books/lost"), text("books")))
    assert struct.pack("!h", 17) + text("books/lost") in answer
    assert struct.pack("!h", 0) + text("books") in answer


def test_batches_get_the_next_offsets_and_are_read_from_any(ask: Ask) -> None:
    ask(METADATA, 1, array(text("novels")))
    first, second = produce(ask, "novels"), produce(ask, "novels")
    assert struct.pack("!ihq", 0, 0, 0) in first
    assert struct.pack("!ihq", 0, 0, 2) in second
    later = struct.pack("!q", 2) + BATCH[8:]
    assert fetch(ask, "novels", 0).endswith(data(BATCH + later))
    assert fetch(ask, "novels", 2).endswith(data(later))
    assert fetch(ask, "novels", 4, milliseconds=20).endswith(data(b""))
    assert struct.pack("!ihq", 0, 1, 4) in fetch(ask, "novels", 5)
    for moment, offset in ((-2, 0), (-1, 4)):
        wanted = array(text("novels") + array(struct.pack("!iq", 0, moment)))
        answer = ask(LIST_OFFSETS, 1, struct.pack("!i", -1) + wanted)
        assert answer.endswith(struct.pack("!ihqq", 0, 0, -1, offset))


def test_a_topic_that_nobody_asked_for_is_unknown(ask: Ask) -> None:
    assert struct.pack("!ihq", 0, 3, -1) in produce(ask, "nowhere")
    assert struct.pack("!ihq", 0, 3, -1) in fetch(ask, "nowhere", 0)


def test_a_producer_that_wants_no_answer_gets_none(ask: Ask) -> None:
    before = ask(METADATA, 1, array(text("essays")))
    produce(ask, "essays", acks=0)
    # The next answer is that to the next request.
    assert ask(METADATA, 1, array(text("essays"))) == before
    assert fetch(ask, "essays", 0).endswith(data(BATCH))


@pytest.mark.parametrize("version", [0, 2])
def test_the_last_to_join_is_the_only_member_and_gets_what_it_assigns(
    ask: Ask, version: int
) -> None:
    timeouts = bytes(8 if version else 4)
    protocols = array(text("range") + data(b"topics"))
    group = text(f"readers-{version}")
    answer = ask(JOIN, version, group + timeouts + text("") + text("consumer") + protocols)
    throttled = answer[4:] if version else answer
    error, generation = struct.unpack("!hi", throttled[:6])
    assert (error, generation) == (0, 1)
    size = struct.unpack("!h", throttled[13:15])[0]
    member = throttled[15 : 15 + size].decode()
    assert member.startswith("member-")
    assert answer.endswith(array(text(member) + data(b"topics")))
    assigned = array(text(member) + data(b"partition 0"))
    answer = ask(SYNC, 1, group + struct.pack("!i", 1) + text(member) + assigned)
    assert answer == bytes(6) + data(b"partition 0")


def test_a_group_continues_where_it_committed(ask: Ask) -> None:
    group, wanted = text("keepers"), array(text("novels") + array(struct.pack("!i", 0)))
    none = struct.pack("!iq", 0, -1) + text("") + bytes(2)
    assert ask(FETCH_OFFSETS, 1, group + wanted).endswith(none)
    place = array(text("novels") + array(struct.pack("!iq", 0, 2) + text("")))
    head = struct.pack("!i", 1) + text("member") + struct.pack("!q", -1)
    assert ask(COMMIT, 2, group + head + place).endswith(struct.pack("!ih", 0, 0))
    kept = struct.pack("!iq", 0, 2) + text("") + bytes(2)
    assert ask(FETCH_OFFSETS, 1, group + wanted).endswith(kept)


@pytest.mark.parametrize("body", [b"", struct.pack("!ih", 1 << 30, 3), b"\xff" * 20])
def test_an_invalid_request_ends_its_connection_only(
    stubs: Services, ask: Ask, body: bytes
) -> None:
    assert ask(LIST_OFFSETS, 1, body) in (b"", array())
    assert stubs.ensure("kafka").identity.version


def test_a_request_that_the_stub_does_not_know_ends_the_connection(ask: Ask) -> None:
    assert ask(JOIN, 9, b"") == b""
