"""Cassandra: a node that is ready to be queried tells its release.

https://github.com/apache/cassandra/blob/trunk/doc/native_protocol_v4.spec
"""

from __future__ import annotations

import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]

_REQUEST, _RESPONSE = 0x04, 0x84
_ERROR, _STARTUP, _READY, _AUTHENTICATE, _QUERY, _RESULT = 0, 1, 2, 3, 7, 8
_ASKED = b"SELECT release_version FROM system.local WHERE key='local'"


def ask(line: ServerConnection, login: Login) -> str:  # noqa: ARG001 - what says who it is needs none
    """Return `Cassandra` and its version; of a node that wants a password only that it answers."""
    options = struct.pack("!H11sH5s", 11, b"CQL_VERSION", 5, b"3.0.0")
    kind, said = _say(line, _STARTUP, struct.pack("!H", 1) + options)
    if kind == _AUTHENTICATE:
        return "Cassandra"
    if kind == _READY:
        kind, said = _say(
            line, _QUERY, struct.pack("!i", len(_ASKED)) + _ASKED + struct.pack("!HB", 1, 0)
        )
    if kind == _ERROR:
        raise NoAnswerError(said[6:].decode("utf-8", "replace"))
    if kind != _RESULT:
        raise NoAnswerError("it does not speak Cassandra's protocol")
    return f"Cassandra {_only_value(said)}".rstrip()


def _say(line: ServerConnection, opcode: int, body: bytes) -> tuple[int, bytes]:
    line.say(struct.pack("!BBhBi", _REQUEST, 0, 0, opcode, len(body)) + body)
    version, _, _, kind, size = struct.unpack("!BBhBi", line.take(9))
    if version != _RESPONSE or size < 0:
        raise NoAnswerError("it does not speak Cassandra's protocol, version 4")
    return kind, line.take(size)


def _only_value(rows: bytes) -> str:
    """Return the value of one row of one column of text: it ends the answer, after its length."""
    for size in range(len(rows) - 3):
        if rows[len(rows) - size - 4 : len(rows) - size] == struct.pack("!i", size):
            return rows[len(rows) - size :].decode("utf-8", "replace")
    return ""
