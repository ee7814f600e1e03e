"""A stub of MongoDB, which finds books by equality: `mongodb.py ADDRESS`.

It speaks the wire protocol, both OP_MSG and the older OP_QUERY, with the commands that drivers
start and search with: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import Peer, serve
else:  # a module beside this program
    from server_base import Peer, serve


_REPLY, _QUERY, _MSG = 1, 2004, 2013
_DOUBLE, _STRING, _OBJECT, _ARRAY, _BINARY, _OBJECT_ID, _BOOL = 1, 2, 3, 4, 5, 7, 8
_DATE, _NULL, _INT, _TIMESTAMP, _LONG = 9, 10, 16, 17, 18
_FORMATS = {_DOUBLE: "<d", _DATE: "<q", _INT: "<i", _TIMESTAMP: "<Q", _LONG: "<q"}
_MAX_DEPTH = 20
# OP_MSG: the kind of the section after the flags; the flags for a checksum, and for no reply.
_BODY, _CHECKSUM, _MORE_TO_COME = 0, 1, 2
# OP_REPLY: the flag of a search that failed.
_QUERY_FAILURE = 2

_BOOKS: list[dict[str, object]] = [{"_id": 1, "slug": "emma", "title": "Emma"}]
# From 0, for the first drivers of version 3, to what the newest require.
_HELLO: dict[str, object] = {
    "ismaster": True,
    "isWritablePrimary": True,
    "helloOk": True,
    "maxBsonObjectSize": 1 << 24,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 1000,
    "minWireVersion": 0,
    "maxWireVersion": 21,
    "readOnly": False,
    "ok": 1.0,
}
_REPLIES: dict[str, dict[str, object]] = {
    "hello": _HELLO,
    "ismaster": _HELLO,
    "buildinfo": {"version": "7.0.0-stub", "versionArray": [7, 0, 0, 0], "ok": 1.0},
    "ping": {"ok": 1.0},
    "endsessions": {"ok": 1.0},
    "killcursors": {"ok": 1.0},
    # The document that the app writes exists already.
    "update": {"n": 1, "nModified": 0, "ok": 1.0},
}


def handle(peer: Peer) -> None:
    """Answer the messages of one client until it disconnects."""
    while True:
        size, number, _, kind = struct.unpack("<iiii", peer.read(16))
        if size < 16:  # noqa: PLR2004 - it includes the head
            raise ValueError(f"invalid size {size}")
        body = peer.read(size - 16)
        try:
            if kind == _MSG:
                code, reply = _MSG, _reply_to_msg(body)
            elif kind == _QUERY:
                code, reply = _REPLY, _reply_to_query(body)
            else:
                raise ValueError(f"unknown opcode {kind}")
        except (IndexError, struct.error) as error:
            raise ValueError(str(error)) from None
        if reply:
            peer.send(struct.pack("<iiii", len(reply) + 16, 0, number, code) + reply)


def _reply_to_msg(body: bytes) -> bytes:
    """Return the reply to an OP_MSG, empty where the client expects none."""
    flags = struct.unpack_from("<I", body)[0]
    if body[4] != _BODY or flags & _CHECKSUM:
        raise ValueError("the stub of MongoDB requires the body first, and no checksum")
    reply = _run_command(_decode_document(body, 5)[0])
    return b"" if flags & _MORE_TO_COME else struct.pack("<IB", 0, _BODY) + _encode(reply)


def _reply_to_query(body: bytes) -> bytes:
    """Return the reply to an OP_QUERY: that of a command, or the books that match."""
    end = body.index(b"\0", 4)
    name = body[4:end].decode()
    document = _decode_document(body, end + 9)[0]
    query, flags = document.get("$query", document), 0
    if name.endswith(".$cmd"):
        replies = [_run_command(query if isinstance(query, dict) else {})]
    else:
        replies, error = _find(name.partition(".")[2], query)
        if error:
            replies, flags = [{"$err": error, "code": 2}], _QUERY_FAILURE
    return struct.pack("<iqii", flags, 0, 0, len(replies)) + b"".join(map(_encode, replies))


def _run_command(command: Mapping[str, object]) -> dict[str, object]:
    name = next(iter(command), "")
    if name.lower() in _REPLIES:
        return dict(_REPLIES[name.lower()])
    if name != "find":
        return _error(f"no such command: '{name}'", 59, "CommandNotFound")
    collection = str(command[name])
    books, error = _find(collection, command.get("filter", {}))
    if error:
        return _error(error, 2, "BadValue")
    namespace = f"{command.get('$db', 'bookshop')}.{collection}"
    return {"cursor": {"id": _Long(0), "ns": namespace, "firstBatch": books}, "ok": 1.0}


def _find(collection: str, query: object) -> tuple[list[dict[str, object]], str]:
    """Return the books that match, or the error for an unknown operator."""
    fields = query if isinstance(query, dict) else {}
    operator = next((key for key in fields if key.startswith("$")), "")
    if operator:
        return [], f"unknown top level operator: {operator}"
    books = _BOOKS if collection == "books" else []
    return [book for book in books if fields.items() <= book.items()], ""


def _error(message: str, code: int, name: str) -> dict[str, object]:
    return {"ok": 0.0, "errmsg": message, "code": code, "codeName": name}


class _Long(int):
    """An integer that is sent with 64 bits."""


def _encode(document: Mapping[str, object]) -> bytes:
    """Return a document as BSON, https://bsonspec.org."""
    body = b""
    for key, value in document.items():
        kind, content = _encode_value(value)
        body += bytes([kind]) + key.encode() + b"\0" + content
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _encode_value(value: object) -> tuple[int, bytes]:
    for python_type, kind in ((bool, _BOOL), (_Long, _LONG), (int, _INT), (float, _DOUBLE)):
        if isinstance(value, python_type):
            return kind, struct.pack(_FORMATS.get(kind, "?"), value)
    if isinstance(value, list):
        return _ARRAY, _encode({str(index): item for index, item in enumerate(value)})
    if isinstance(value, dict):
        return _OBJECT, _encode(value)
    text = str(value).encode() + b"\0"
    return _STRING, struct.pack("<i", len(text)) + text


def _decode_document(data: bytes, start: int, depth: int = 0) -> tuple[dict[str, object], int]:
    """Return the document at `start`, and the position of its end; raise ValueError."""
    end = start + int(struct.unpack_from("<i", data, start)[0])
    if not start + 5 <= end <= len(data) or depth > _MAX_DEPTH:
        raise ValueError("invalid document")
    document: dict[str, object] = {}
    position = start + 4
    while position < end - 1:
        kind, stop = data[position], data.index(b"\0", position + 1, end)
        key = data[position + 1 : stop].decode()
        document[key], position = _decode_value(data, kind, stop + 1, depth)
    if position != end - 1 or data[position] != 0:
        raise ValueError("invalid document")
    return document, end


def _decode_value(data: bytes, kind: int, start: int, depth: int) -> tuple[object, int]:
    if kind in _FORMATS:
        form = _FORMATS[kind]
        return struct.unpack_from(form, data, start)[0], start + struct.calcsize(form)
    if kind in (_OBJECT, _ARRAY):
        return _decode_document(data, start, depth + 1)
    if kind in (_STRING, _BINARY):
        size, head = struct.unpack_from("<i", data, start)[0], 4 + (kind == _BINARY)
        end = start + head + size
        if size < 0 or end > len(data):
            raise ValueError(f"invalid size {size}")
        value = data[start + head : end]
        return (value[:-1].decode() if kind == _STRING else value), end
    if kind == _OBJECT_ID:
        return data[start : start + 12], start + 12
    if kind == _BOOL:
        return data[start] == 1, start + 1
    if kind == _NULL:
        return None, start
    raise ValueError(f"the stub of MongoDB reads no values of type {kind}")


if __name__ == "__main__":
    serve(sys.argv[1], handle)
