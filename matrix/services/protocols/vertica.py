"""Vertica: the `server_version` after a login as in PostgreSQL's protocol.

https://docs.vertica.com/latest/en/connecting-to/
"""

from __future__ import annotations

import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_VERSION_3 = 196608
_OK, _CLEAR = 0, 3


def identify(connection: ServerConnection, login: Login) -> str:
    """Return `Vertica` and its version; only `Vertica` where a plain password does not suffice."""
    words = ["user", login.user or "dbadmin"]
    words += ["database", login.database] if login.database else []
    body = struct.pack("!I", _VERSION_3) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
    connection.send(struct.pack("!I", len(body) + 4) + body)
    version = ""
    while True:
        kind, size = connection.read(1), struct.unpack("!I", connection.read(4))[0]
        if size < 4:  # noqa: PLR2004 - it counts itself
            raise NoAnswerError("not a server of Vertica's protocol")
        body = connection.read(size - 4)
        if kind == b"E":
            fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
            raise NoAnswerError(fields.get(b"M", body).decode("utf-8", "replace"))
        if kind == b"R" and body[:4] == struct.pack("!I", _CLEAR):
            secret = login.password.encode() + b"\0"
            connection.send(b"p" + struct.pack("!I", len(secret) + 4) + secret)
        elif kind == b"R" and body[:4] != struct.pack("!I", _OK):
            return "Vertica"
        elif kind == b"S" and body.startswith(b"server_version\0"):
            version = body.split(b"\0")[1].decode("utf-8", "replace")
        elif kind == b"Z":
            connection.send(b"X\0\0\0\4")
            return f"Vertica {version}".rstrip()
