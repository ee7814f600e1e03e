"""MongoDB: `buildInfo` tells the version, and is answered without a login.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import re
import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]

_MSG, _HEAD = 2013, 16
# The command is `buildInfo`, of the database `admin`.
_ASKED = b"\x10buildInfo\0\x01\0\0\0" + b"\x02$db\0\x06\0\0\0admin\0" + b"\0"
_TEXT = rb"\x02%s\0....([^\0]*)\0"


def ask(line: ServerConnection, login: Login) -> str:  # noqa: ARG001 - it needs none
    """Return `MongoDB` and its version."""
    body = struct.pack("<IBi", 0, 0, len(_ASKED) + 4) + _ASKED
    line.say(struct.pack("<iiii", len(body) + _HEAD, 1, 0, _MSG) + body)
    size, _, _, kind = struct.unpack("<iiii", line.take(_HEAD))
    if kind != _MSG or size < _HEAD:
        raise NoAnswerError("it does not speak MongoDB's protocol")
    said = line.take(size - _HEAD)
    if wrong := re.search(_TEXT % b"errmsg", said, re.DOTALL):
        raise NoAnswerError(wrong[1].decode("utf-8", "replace"))
    found = re.search(_TEXT % b"version", said, re.DOTALL)
    return f"MongoDB {found[1].decode('utf-8', 'replace') if found else ''}".rstrip()
