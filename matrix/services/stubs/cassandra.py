"""A stub of Cassandra, with one node and one table: `cassandra.py ADDRESS`.

It speaks the native protocol, versions 3 and 4, without compression and prepared statements:
https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec
"""

from __future__ import annotations

import re
import struct
import sys
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matrix.services.stubs.server_base import Peer, serve
else:  # a module beside this program
    from server_base import Peer, serve


_NEWEST, _SUPPORTED_VERSIONS = 4, (3, 4)
_ERROR, _STARTUP, _READY, _OPTIONS, _SUPPORTED = 0, 1, 2, 5, 6
_QUERY, _RESULT, _REGISTER = 7, 8, 11
_PROTOCOL_ERROR, _SYNTAX_ERROR, _INVALID = 0x000A, 0x2000, 0x2200
_ROWS, _SET_KEYSPACE = 2, 3
_UUID, _TEXT, _INET, _SET_OF_TEXT = (0x000C,), (0x000D,), (0x0010,), (0x0022, 0x000D)

_NODE = uuid.uuid5(uuid.NAMESPACE_DNS, "node.bookshop").bytes
_SCHEMA = uuid.uuid5(uuid.NAMESPACE_DNS, "schema.bookshop").bytes
_LOOPBACK = bytes([127, 0, 0, 1])
_TOKENS = struct.pack("!ii1s", 1, 1, b"0")
# A table's columns: name, type, and value in the only row.
_Column = tuple[str, tuple[int, ...], bytes]
_LOCAL: list[_Column] = [
    ("key", _TEXT, b"local"),
    ("cluster_name", _TEXT, b"bookshop"),
    ("data_center", _TEXT, b"datacenter1"),
    ("rack", _TEXT, b"rack1"),
    ("release_version", _TEXT, b"3.11.0"),
    ("cql_version", _TEXT, b"3.4.4"),
    ("native_protocol_version", _TEXT, b"4"),
    ("partitioner", _TEXT, b"org.apache.cassandra.dht.Murmur3Partitioner"),
    ("host_id", _UUID, _NODE),
    ("schema_version", _UUID, _SCHEMA),
    ("broadcast_address", _INET, _LOOPBACK),
    ("listen_address", _INET, _LOOPBACK),
    ("rpc_address", _INET, _LOOPBACK),
    ("tokens", _SET_OF_TEXT, _TOKENS),
]
_BOOKS: list[_Column] = [("slug", _TEXT, b"emma"), ("title", _TEXT, b"Emma")]
# There are no other nodes, and the tables of the schema are empty, which drivers accept as long as
# the result has a column.
_EMPTY_TABLES = re.compile(r"system\.peers|system_schema\.\w+")
_SELECT = re.compile(
    r"\s*select\s+(?P<columns>\*|\w+(?:\s*,\s*\w+)*)\s+from\s+(?P<table>[\w.]+)"
    r"(?:\s+where\s+(?P<column>\w+)\s*=\s*'(?P<value>[^']*)')?(?:\s+limit\s+\d+)?\s*;?\s*",
    re.IGNORECASE,
)
_USE = re.compile(r'\s*use\s+"?(\w+)"?\s*;?\s*', re.IGNORECASE)


def handle(peer: Peer) -> None:
    """Answer the frames of one client until it disconnects."""
    while True:
        version, _, stream, opcode, size = struct.unpack("!BBhBi", peer.read(9))
        if size < 0:
            raise ValueError(f"invalid size {size}")
        body = peer.read(size)
        if version in _SUPPORTED_VERSIONS:
            kind, response = _respond(opcode, body)
        else:
            kind, response = _error(
                _PROTOCOL_ERROR,
                f"Invalid or unsupported protocol version ({version}); the lowest supported"
                f" version is {_SUPPORTED_VERSIONS[0]} and the greatest is {_NEWEST}",
            )
            version = _NEWEST
        head = struct.pack("!BBhBi", version | 0x80, 0, stream, kind, len(response))
        peer.send(head + response)


def _respond(opcode: int, body: bytes) -> tuple[int, bytes]:
    if opcode == _OPTIONS:
        options = _string("CQL_VERSION") + struct.pack("!H", 1) + _string("3.4.4")
        return _SUPPORTED, struct.pack("!H", 2) + options + _string("COMPRESSION") + b"\0\0"
    if opcode in (_STARTUP, _REGISTER):
        return _READY, b""
    if opcode == _QUERY:
        if len(body) < 4 or (size := struct.unpack("!i", body[:4])[0]) < 0:  # noqa: PLR2004
            raise ValueError("invalid query")
        return _execute(body[4 : 4 + size].decode())
    return _error(_PROTOCOL_ERROR, f"the stub of Cassandra does not know opcode {opcode}")


def _execute(query: str) -> tuple[int, bytes]:
    if use := _USE.fullmatch(query):
        return _RESULT, struct.pack("!i", _SET_KEYSPACE) + _string(use[1])
    select = _SELECT.fullmatch(query)
    if select is None:
        return _error(_SYNTAX_ERROR, "line 1:0 no viable alternative")
    name = select["table"].lower()
    if name == "system.local":
        return _select(select, _LOCAL)
    if _EMPTY_TABLES.fullmatch(name):
        return _RESULT, _encode_rows([("nothing", _TEXT, b"")], has_row=False)
    if name.rpartition(".")[2] == "books":
        return _select(select, _BOOKS)
    return _error(_INVALID, f"unconfigured table {name.rpartition('.')[2]}")


def _select(select: re.Match[str], table: list[_Column]) -> tuple[int, bytes]:
    by_name = {column[0]: column for column in table}
    names = [name.strip().lower() for name in select["columns"].split(",")]
    names = list(by_name) if names == ["*"] else names
    conditions = [select["column"].lower()] if select["column"] else []
    for name in names + conditions:
        if name not in by_name:
            return _error(_INVALID, f"Undefined column name {name}")
    has_row = all(by_name[name][2] == select["value"].encode() for name in conditions)
    return _RESULT, _encode_rows([by_name[name] for name in names], has_row=has_row)


def _encode_rows(columns: list[_Column], *, has_row: bool) -> bytes:
    # Flag 1: all columns are of the one table that is named first.
    result = struct.pack("!iii", _ROWS, 1, len(columns)) + _string("bookshop") + _string("books")
    for name, types, _ in columns:
        result += _string(name) + struct.pack(f"!{len(types)}H", *types)
    result += struct.pack("!i", has_row)
    if has_row:
        result += b"".join(struct.pack("!i", len(value)) + value for _, _, value in columns)
    return result


def _error(code: int, message: str) -> tuple[int, bytes]:
    return _ERROR, struct.pack("!i", code) + _string(message)


def _string(text: str) -> bytes:
    return struct.pack("!H", len(text.encode())) + text.encode()


if __name__ == "__main__":
    serve(sys.argv[1], handle)
