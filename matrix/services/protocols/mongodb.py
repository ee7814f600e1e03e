"""MongoDB: the version, by `buildInfo`, which needs no login.

https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

from __future__ import annotations

import re
import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_MSG, _HEAD = 2013, 16
# The command `buildInfo` of the database `admin`.
_BUILD_INFO = b"\x10buildInfo\0\x01\0\0\0" + b"\x02$db\0\x06\0\0\0admin\0" + b"\0"
_TEXT = rb"\x02%s\0....([^\0]*)\0"


def identify(connection: ServerConnection, login: Login) -> str:  # noqa: ARG001 - not needed
    """Return `MongoDB` and its version."""
    body = struct.pack("<IBi", 0, 0, len(_BUILD_INFO) + 4) + _BUILD_INFO
    connection.send(struct.pack("<iiii", len(body) + _HEAD, 1, 0, _MSG) + body)
    size, _, _, kind = struct.unpack("<iiii", connection.read(_HEAD))
    if kind != _MSG or size < _HEAD:
        raise NoAnswerError("not a server of MongoDB's protocol")
    reply = connection.read(size - _HEAD)
    if error := re.search(_TEXT % b"errmsg", reply, re.DOTALL):
        raise NoAnswerError(error[1].decode("utf-8", "replace"))
    version = re.search(_TEXT % b"version", reply, re.DOTALL)
    return f"MongoDB {version[1].decode('utf-8', 'replace') if version else ''}".rstrip()
