"""Cassandra: the release version, from a node that is ready for queries.

https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec
"""

from __future__ import annotations

import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_REQUEST, _RESPONSE = 0x04, 0x84
_ERROR, _STARTUP, _READY, _AUTHENTICATE, _QUERY, _RESULT = 0, 1, 2, 3, 7, 8
_VERSION_QUERY = b"SELECT release_version FROM system.local WHERE key='local'"


def identify(connection: ServerConnection, login: Login) -> str:  # noqa: ARG001 - sends no login
    """Return `Cassandra` and its version; only `Cassandra` where a password is required."""
    options = struct.pack("!H11sH5s", 11, b"CQL_VERSION", 5, b"3.0.0")
    kind, body = _request(connection, _STARTUP, struct.pack("!H", 1) + options)
    if kind == _AUTHENTICATE:
        return "Cassandra"
    if kind == _READY:
        query = struct.pack("!i", len(_VERSION_QUERY)) + _VERSION_QUERY
        kind, body = _request(connection, _QUERY, query + struct.pack("!HB", 1, 0))
    if kind == _ERROR:
        raise NoAnswerError(body[6:].decode("utf-8", "replace"))
    if kind != _RESULT:
        raise NoAnswerError("not a server of Cassandra's protocol")
    return f"Cassandra {_single_value(body)}".rstrip()


def _request(connection: ServerConnection, opcode: int, body: bytes) -> tuple[int, bytes]:
    connection.send(struct.pack("!BBhBi", _REQUEST, 0, 0, opcode, len(body)) + body)
    version, _, _, kind, size = struct.unpack("!BBhBi", connection.read(9))
    if version != _RESPONSE or size < 0:
        raise NoAnswerError("not a server of Cassandra's protocol, version 4")
    return kind, connection.read(size)


def _single_value(rows: bytes) -> str:
    """Return the text of one row with one column: the end of the result, after its length."""
    for size in range(len(rows) - 3):
        if rows[len(rows) - size - 4 : len(rows) - size] == struct.pack("!i", size):
            return rows[len(rows) - size :].decode("utf-8", "replace")
    return ""
