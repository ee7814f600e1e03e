"""A stub of Kafka: one broker, topics of one partition in memory: `kafka.py PORT`.

A broker tells its clients the address at which they reach it, so that this one needs a port. It
speaks one old version of each request that clients need to send and receive, alone and as the only
member of a group; no transactions, no compression of its own (batches of records are stored as they
come), and nothing is kept after its end.
https://kafka.apache.org/protocol.html
"""

from __future__ import annotations

import dataclasses
import struct
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import Peer, serve
else:  # a module beside this program
    from server_base import Peer, serve

_HOST = "127.0.0.1"
_CLUSTER = "bookshop-stub-1"
_NODE = 0
_OFFSET_OUT_OF_RANGE, _UNKNOWN_TOPIC, _INVALID_TOPIC, _UNSUPPORTED_VERSION = 1, 3, 17, 35
_EARLIEST = -2
_API_VERSIONS = 18
# A batch of records (format 2): its first offset, the size of what follows, the format, and the
# distance to its last offset.
_BATCH_HEAD, _FORMAT_AT, _LAST_AT, _BATCH_MINIMUM = 12, 16, 23, 61
_LONGEST_WAIT = 1.0


class _Request:
    """A request: the head, and its other fields in their order; ValueError where there are none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self.key, self.version = self.number("h"), self.number("h")
        self.correlation = self.take(4)
        self.text()

    def take(self, count: int) -> bytes:
        if not 0 <= count <= len(self._data) - self._at:
            raise ValueError("the request is too short")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, kind: str) -> int:
        """Return an integer of a format character of `struct`."""
        return int(struct.unpack("!" + kind, self.take(struct.calcsize("!" + kind)))[0])

    def text(self) -> str:
        """Return a text, "" for null."""
        return self.take(max(self.number("h"), 0)).decode()

    def data(self) -> bytes:
        """Return bytes, none for null."""
        return self.take(max(self.number("i"), 0))

    def count(self) -> int:
        """Return the length of an array, -1 for null."""
        return self.number("i")


def _text(text: str | None) -> bytes:
    if text is None:
        return struct.pack("!h", -1)
    return struct.pack("!h", len(text.encode())) + text.encode()


def _data(data: bytes) -> bytes:
    return struct.pack("!i", len(data)) + data


def _array(items: list[bytes]) -> bytes:
    return struct.pack("!i", len(items)) + b"".join(items)


@dataclasses.dataclass
class _Group:
    """A group of consumers, whose only member is the last that joined."""

    generation: int = 0
    offsets: dict[str, int] = dataclasses.field(default_factory=dict)


class Broker:
    """The topics and groups, and the answers of a broker that is reached at `port`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._changed = threading.Condition()
        # The batches of a topic, each with the offset after its last record.
        self._topics: dict[str, list[tuple[int, bytes]]] = {}
        self._groups: dict[str, _Group] = {}
        self._members = 0
        # By the number of a request: its oldest and newest version, and what answers it.
        self._answers = {
            0: (3, 4, self._produce),
            1: (4, 4, self._fetch),
            2: (1, 1, self._list_offsets),
            3: (0, 5, self._metadata),
            8: (2, 2, self._commit_offsets),
            9: (1, 1, self._fetch_offsets),
            10: (0, 1, self._find_coordinator),
            11: (0, 2, self._join_group),
            12: (0, 1, self._say_ok),
            13: (0, 1, self._say_ok),
            14: (0, 1, self._sync_group),
            _API_VERSIONS: (0, 0, self._versions),
        }

    def handle(self, peer: Peer) -> None:
        """Answer the requests of one client until it disconnects."""
        while True:
            size = struct.unpack("!i", peer.read(4))[0]
            request = _Request(peer.read(max(size, 0)))
            key, version = request.key, request.version
            oldest, newest, answer = self._answers.get(key, (0, -1, self._say_ok))
            if key == _API_VERSIONS:
                # The answer to an unknown version of this one tells which are known.
                answer = self._versions
            elif not oldest <= version <= newest:
                raise ValueError(f"the stub of Kafka does not know request {key}.{version}")
            if body := answer(request):
                peer.send(_data(request.correlation + body))

    def _say_ok(self, request: _Request) -> bytes:
        return _throttle(request, 1) + struct.pack("!h", 0)

    def _versions(self, request: _Request) -> bytes:
        ranges = [
            struct.pack("!hhh", key, oldest, newest)
            for key, (oldest, newest, _) in self._answers.items()
        ]
        return struct.pack("!h", _UNSUPPORTED_VERSION if request.version else 0) + _array(ranges)

    def _metadata(self, request: _Request) -> bytes:
        version, count = request.version, request.count()
        names = [request.text() for _ in range(count)]
        with self._changed:
            # Before version 1, an empty array is for all topics; from it on, null is.
            if count < 0 or (version == 0 and not count):
                names = list(self._topics)
            errors = {name: 0 if _is_valid(name) else _INVALID_TOPIC for name in names}
            for name, error in errors.items():
                if not error:
                    self._topics.setdefault(name, [])
        node = struct.pack("!i", _NODE)
        rack = _text(None) if version >= 1 else b""
        broker = node + _text(_HOST) + struct.pack("!i", self._port) + rack
        offline = _array([]) if version >= 5 else b""  # noqa: PLR2004 - versions of the protocol
        partition = struct.pack("!hi", 0, 0) + node + _array([node]) + _array([node]) + offline
        internal = b"\0" if version >= 1 else b""
        topics = [
            struct.pack("!h", error) + _text(name) + internal + _array([] if error else [partition])
            for name, error in errors.items()
        ]
        return b"".join(
            (
                _throttle(request, 3),
                _array([broker]),
                _text(_CLUSTER) if version >= 2 else b"",  # noqa: PLR2004
                node if version >= 1 else b"",
                _array(topics),
            )
        )

    def _produce(self, request: _Request) -> bytes:
        request.text()
        acknowledged = request.number("h")
        request.number("i")
        topics = []
        for _ in range(request.count()):
            name = request.text()
            partitions = []
            for _ in range(request.count()):
                number = request.number("i")
                error, offset = self._append(name, number, request.data())
                partitions.append(struct.pack("!ihqq", number, error, offset, -1))
            topics.append(_text(name) + _array(partitions))
        return _array(topics) + struct.pack("!i", 0) if acknowledged else b""

    def _append(self, name: str, partition: int, batch: bytes) -> tuple[int, int]:
        """Store a batch; return an error and its first offset."""
        if len(batch) < _BATCH_MINIMUM or batch[_FORMAT_AT] != 2:  # noqa: PLR2004 - the format
            raise ValueError("not a batch of records")
        with self._changed:
            batches = self._topics.get(name)
            if batches is None or partition:
                return _UNKNOWN_TOPIC, -1
            first = batches[-1][0] if batches else 0
            count = struct.unpack_from("!i", batch, _LAST_AT)[0] + 1
            # The checksum does not include the first offset.
            batches.append((first + count, struct.pack("!q", first) + batch[8:]))
            self._changed.notify_all()
            return 0, first

    def _fetch(self, request: _Request) -> bytes:
        request.number("i")
        seconds = min(request.number("i") / 1000, _LONGEST_WAIT)
        request.take(9)
        partitions = []
        for _ in range(request.count()):
            name = request.text()
            for _ in range(request.count()):
                partitions.append((name, request.number("i"), request.number("q")))
                request.number("i")

        def read() -> list[tuple[int, int, bytes]]:
            return [self._read(*each) for each in partitions]

        with self._changed:
            self._changed.wait_for(
                lambda: any(error or records for error, _, records in read()), seconds
            )
            found = read()
        topics = [
            _text(name)
            + _array([struct.pack("!ihqq", number, error, end, end) + _array([]) + _data(records)])
            for (name, number, _), (error, end, records) in zip(partitions, found, strict=True)
        ]
        return struct.pack("!i", 0) + _array(topics)

    def _read(self, name: str, partition: int, offset: int) -> tuple[int, int, bytes]:
        """Return an error, the end of the partition, and its batches from an offset on."""
        batches = self._topics.get(name)
        if batches is None or partition:
            return _UNKNOWN_TOPIC, -1, b""
        end = batches[-1][0] if batches else 0
        if not 0 <= offset <= end:
            return _OFFSET_OUT_OF_RANGE, end, b""
        return 0, end, b"".join(batch for after, batch in batches if after > offset)

    def _list_offsets(self, request: _Request) -> bytes:
        request.number("i")
        topics = []
        for _ in range(request.count()):
            name = request.text()
            partitions = []
            for _ in range(request.count()):
                number, moment = request.number("i"), request.number("q")
                with self._changed:
                    error, end, _ = self._read(name, number, 0)
                offset = 0 if moment == _EARLIEST else end
                partitions.append(struct.pack("!ihqq", number, error, -1, offset))
            topics.append(_text(name) + _array(partitions))
        return _array(topics)

    def _find_coordinator(self, request: _Request) -> bytes:
        message = _text(None) if request.version else b""
        node = struct.pack("!i", _NODE) + _text(_HOST) + struct.pack("!i", self._port)
        return _throttle(request, 1) + struct.pack("!h", 0) + message + node

    def _join_group(self, request: _Request) -> bytes:
        name = request.text()
        request.take(8 if request.version else 4)
        member = request.text()
        request.text()
        protocols = [(request.text(), request.data()) for _ in range(request.count())]
        if not protocols:
            raise ValueError("a member without protocols")
        with self._changed:
            group = self._groups.setdefault(name, _Group())
            group.generation += 1
            self._members += 1
            generation, member = group.generation, member or f"member-{self._members}"
        protocol, subscription = protocols[0]
        return b"".join(
            (
                _throttle(request, 2),
                struct.pack("!hi", 0, generation),
                *map(_text, (protocol, member, member)),
                _array([_text(member) + _data(subscription)]),
            )
        )

    def _sync_group(self, request: _Request) -> bytes:
        request.text()
        request.number("i")
        member = request.text()
        assignments = {request.text(): request.data() for _ in range(request.count())}
        assignment = _data(assignments.get(member, b""))
        return _throttle(request, 1) + struct.pack("!h", 0) + assignment

    def _commit_offsets(self, request: _Request) -> bytes:
        name = request.text()
        request.number("i")
        request.text()
        request.number("q")
        topics = []
        for _ in range(request.count()):
            topic = request.text()
            partitions = []
            for _ in range(request.count()):
                partition, offset = request.number("i"), request.number("q")
                request.text()
                with self._changed:
                    self._groups.setdefault(name, _Group()).offsets[topic] = offset
                partitions.append(struct.pack("!ih", partition, 0))
            topics.append(_text(topic) + _array(partitions))
        return _array(topics)

    def _fetch_offsets(self, request: _Request) -> bytes:
        with self._changed:
            offsets = dict(self._groups.get(request.text(), _Group()).offsets)
        topics = []
        for _ in range(request.count()):
            topic = request.text()
            partitions = [
                struct.pack("!iq", request.number("i"), offsets.get(topic, -1))
                + _text("")
                + struct.pack("!h", 0)
                for _ in range(request.count())
            ]
            topics.append(_text(topic) + _array(partitions))
        return _array(topics)


def _throttle(request: _Request, since: int) -> bytes:
    """Return how long the client should wait, which answers have `since` a version."""
    return struct.pack("!i", 0) if request.version >= since else b""


def _is_valid(topic: str) -> bool:
    return bool(topic) and all(
        char.isascii() and (char.isalnum() or char in "._-") for char in topic
    )


if __name__ == "__main__":
    serve(sys.argv[1], Broker(int(sys.argv[1])).handle)
