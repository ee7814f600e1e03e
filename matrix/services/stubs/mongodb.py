"""A stub of MongoDB: books that are asked for by equality are found: `mongodb.py WHERE`.

The wire protocol, in its new form (OP_MSG) and its old one (OP_QUERY), with the commands that
drivers begin and search with: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.serving import Peer, serve
else:  # beside this program
    from serving import Peer, serve

__all__: list[str] = []

_REPLY, _QUERY, _MSG = 1, 2004, 2013
_DOUBLE, _STRING, _OBJECT, _ARRAY, _BINARY, _OBJECT_ID, _BOOL = 1, 2, 3, 4, 5, 7, 8
_DATE, _NULL, _INT, _TIMESTAMP, _LONG = 9, 10, 16, 17, 18
_FIXED = {_DOUBLE: "<d", _DATE: "<q", _INT: "<i", _TIMESTAMP: "<Q", _LONG: "<q"}
_DEEPEST = 20
# OP_MSG: what follows its flags, and that a checksum comes last, or no answer is wanted.
_BODY, _CHECKSUM, _MORE_TO_COME = 0, 1, 2
# OP_REPLY: the search itself failed.
_QUERY_FAILURE = 2

_BOOKS: list[dict[str, object]] = [{"_id": 1, "slug": "emma", "title": "Emma"}]
# From 0, for the first drivers of version 3, to what the newest ask for.
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
_ANSWERS: dict[str, dict[str, object]] = {
    "hello": _HELLO,
    "ismaster": _HELLO,
    "buildinfo": {"version": "7.0.0-stub", "versionArray": [7, 0, 0, 0], "ok": 1.0},
    "ping": {"ok": 1.0},
    "endsessions": {"ok": 1.0},
    "killcursors": {"ok": 1.0},
    # What the app writes is there already.
    "update": {"n": 1, "nModified": 0, "ok": 1.0},
}


def talk(peer: Peer) -> None:
    """Answer the messages of one client until it goes."""
    while True:
        size, number, _, kind = struct.unpack("<iiii", peer.take(16))
        if size < 16:  # noqa: PLR2004 - the head counts
            raise ValueError("this is no size")
        body = peer.take(size - 16)
        try:
            if kind == _MSG:
                code, said = _MSG, _message(body)
            elif kind == _QUERY:
                code, said = _REPLY, _query(body)
            else:
                raise ValueError(f"no message has the code {kind}")
        except (IndexError, struct.error) as error:
            raise ValueError(str(error)) from None
        if said:
            peer.say(struct.pack("<iiii", len(said) + 16, 0, number, code) + said)


def _message(body: bytes) -> bytes:
    """Return the answer to an OP_MSG, nothing where none is wanted."""
    flags = struct.unpack_from("<I", body)[0]
    if body[4] != _BODY or flags & _CHECKSUM:
        raise ValueError("the stub of MongoDB wants the body first, and no checksum")
    said = _command(_document(body, 5)[0])
    return b"" if flags & _MORE_TO_COME else struct.pack("<IB", 0, _BODY) + _bson(said)


def _query(body: bytes) -> bytes:
    """Return the answer to an OP_QUERY: a command's, or the books that are found."""
    end = body.index(b"\0", 4)
    name = body[4:end].decode()
    wanted = _document(body, end + 9)[0]
    if name.endswith(".$cmd"):
        query = wanted.get("$query", wanted)
        found, flags = [_command(query if isinstance(query, dict) else {})], 0
    else:
        query = wanted.get("$query", wanted)
        found, wrong = _find(name.partition(".")[2], query)
        flags = _QUERY_FAILURE if wrong else 0
        found = [{"$err": wrong, "code": 2}] if wrong else found
    return struct.pack("<iqii", flags, 0, 0, len(found)) + b"".join(map(_bson, found))


def _command(asked: Mapping[str, object]) -> dict[str, object]:
    name = next(iter(asked), "")
    if name.lower() in _ANSWERS:
        return dict(_ANSWERS[name.lower()])
    if name != "find":
        return _failed(f"no such command: '{name}'", 59, "CommandNotFound")
    table = str(asked[name])
    found, wrong = _find(table, asked.get("filter", {}))
    if wrong:
        return _failed(wrong, 2, "BadValue")
    namespace = f"{asked.get('$db', 'bookshop')}.{table}"
    return {"cursor": {"id": _Long(0), "ns": namespace, "firstBatch": found}, "ok": 1.0}


def _find(table: str, wanted: object) -> tuple[list[dict[str, object]], str]:
    """Return what is found, or why the search is refused."""
    by = wanted if isinstance(wanted, dict) else {}
    operator = next((key for key in by if key.startswith("$")), "")
    if operator:
        return [], f"unknown top level operator: {operator}"
    books = _BOOKS if table == "books" else []
    return [book for book in books if by.items() <= book.items()], ""


def _failed(why: str, code: int, name: str) -> dict[str, object]:
    return {"ok": 0.0, "errmsg": why, "code": code, "codeName": name}


class _Long(int):
    """A number that is sent with 64 bits."""


def _bson(document: Mapping[str, object]) -> bytes:
    """Return a document of what this stub says, https://bsonspec.org."""
    body = b"".join(_element(key.encode() + b"\0", value) for key, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def _element(key: bytes, value: object) -> bytes:
    kind, said = _said(value)
    return bytes([kind]) + key + said


def _said(value: object) -> tuple[int, bytes]:
    for of, kind in ((bool, _BOOL), (_Long, _LONG), (int, _INT), (float, _DOUBLE)):
        if isinstance(value, of):
            return kind, struct.pack(_FIXED.get(kind, "?"), value)
    if isinstance(value, list):
        return _ARRAY, _bson({str(at): each for at, each in enumerate(value)})
    if isinstance(value, dict):
        return _OBJECT, _bson(value)
    text = str(value).encode() + b"\0"
    return _STRING, struct.pack("<i", len(text)) + text


def _document(data: bytes, at: int, depth: int = 0) -> tuple[dict[str, object], int]:
    """Return the document that begins there, and where it ends; raise ValueError."""
    end = at + int(struct.unpack_from("<i", data, at)[0])
    if not at + 5 <= end <= len(data) or depth > _DEEPEST:
        raise ValueError("this is no document")
    found: dict[str, object] = {}
    at += 4
    while at < end - 1:
        kind, stop = data[at], data.index(b"\0", at + 1, end)
        key = data[at + 1 : stop].decode()
        found[key], at = _value(data, kind, stop + 1, depth)
    if at != end - 1 or data[at] != 0:
        raise ValueError("this is no document")
    return found, end


def _value(data: bytes, kind: int, at: int, depth: int) -> tuple[object, int]:
    if kind in _FIXED:
        return struct.unpack_from(_FIXED[kind], data, at)[0], at + struct.calcsize(_FIXED[kind])
    if kind in (_OBJECT, _ARRAY):
        return _document(data, at, depth + 1)
    if kind in (_STRING, _BINARY):
        size, head = struct.unpack_from("<i", data, at)[0], 4 + (kind == _BINARY)
        end = at + head + size
        if size < 0 or end > len(data):
            raise ValueError("this is no text")
        value = data[at + head : end]
        return (value[:-1].decode() if kind == _STRING else value), end
    if kind == _OBJECT_ID:
        return data[at : at + 12], at + 12
    if kind == _BOOL:
        return data[at] == 1, at + 1
    if kind == _NULL:
        return None, at
    raise ValueError(f"the stub of MongoDB reads no values of type {kind}")


if __name__ == "__main__":
    serve(sys.argv[1], talk)
