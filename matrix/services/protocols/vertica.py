"""Vertica: log in as to PostgreSQL, and take its `server_version`.

https://docs.vertica.com/latest/en/connecting-to/
"""

from __future__ import annotations

import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]

_VERSION_3 = 196608
_OK, _CLEAR = 0, 3


def ask(line: ServerConnection, login: Login) -> str:
    """Return `Vertica` and its version.

    Of a server that wants more than a plain password no more is known than that it answers.
    """
    words = ["user", login.user or "dbadmin"]
    words += ["database", login.database] if login.database else []
    body = struct.pack("!I", _VERSION_3) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
    line.say(struct.pack("!I", len(body) + 4) + body)
    version = ""
    while True:
        kind, size = line.take(1), struct.unpack("!I", line.take(4))[0]
        if size < 4:  # noqa: PLR2004 - it counts itself
            raise NoAnswerError("it does not speak Vertica's protocol")
        said = line.take(size - 4)
        if kind == b"E":
            fields = {part[:1]: part[1:] for part in said.split(b"\0") if part}
            raise NoAnswerError(fields.get(b"M", said).decode("utf-8", "replace"))
        if kind == b"R" and said[:4] == struct.pack("!I", _CLEAR):
            secret = login.password.encode() + b"\0"
            line.say(b"p" + struct.pack("!I", len(secret) + 4) + secret)
        elif kind == b"R" and said[:4] != struct.pack("!I", _OK):
            return "Vertica"
        elif kind == b"S" and said.startswith(b"server_version\0"):
            version = said.split(b"\0")[1].decode("utf-8", "replace")
        elif kind == b"Z":
            line.say(b"X\0\0\0\4")
            return f"Vertica {version}".rstrip()
