"""AMQP 0-9-1: product and version are in the server's first method, Connection.Start.

https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf
"""

from __future__ import annotations

import re
import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_START = struct.pack("!HH", 10, 10)


def identify(connection: ServerConnection, login: Login) -> str:  # noqa: ARG001 - not needed yet
    """Return the product and its version."""
    connection.send(b"AMQP\0\0\x09\x01")
    head = connection.read(7)
    if head[:1] != b"\x01":
        raise NoAnswerError("not a server of AMQP 0-9-1")
    body = connection.read(int.from_bytes(head[3:], "big"))
    if not body.startswith(_START):
        raise NoAnswerError("not a server of AMQP 0-9-1")
    properties = [_read_property(body, name) for name in (b"product", b"version")]
    return " ".join(filter(None, properties))


def _read_property(body: bytes, name: bytes) -> str:
    match = re.search(re.escape(name) + rb"S(....)", body, re.DOTALL)
    if match is None:
        return ""
    size = int.from_bytes(match[1], "big")
    return body[match.end() : match.end() + size].decode("utf-8", "replace")
