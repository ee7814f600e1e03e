"""AMQP 0-9-1: the first method of the server, Connection.Start, tells product and version.

https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf
"""

from __future__ import annotations

import re
import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]

_START = struct.pack("!HH", 10, 10)


def ask(line: ServerConnection, login: Login) -> str:  # noqa: ARG001 - the server introduces itself first
    """Return the product and its version."""
    line.say(b"AMQP\0\0\x09\x01")
    head = line.take(7)
    if head[:1] != b"\x01":
        raise NoAnswerError("it does not speak AMQP 0-9-1")
    body = line.take(int.from_bytes(head[3:], "big"))
    if not body.startswith(_START):
        raise NoAnswerError("it does not speak AMQP 0-9-1")
    words = [_property(body, name) for name in (b"product", b"version")]
    return " ".join(filter(None, words))


def _property(body: bytes, name: bytes) -> str:
    found = re.search(re.escape(name) + rb"S(....)", body, re.DOTALL)
    if found is None:
        return ""
    size = int.from_bytes(found[1], "big")
    return body[found.end() : found.end() + size].decode("utf-8", "replace")
