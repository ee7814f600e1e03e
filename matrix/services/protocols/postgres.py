"""PostgreSQL: log in, and take its `server_version`.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import hashlib
import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]

_VERSION_3 = 196608
_OK, _CLEAR, _MD5, _SASL = 0, 3, 5, 10


def ask(line: ServerConnection, login: Login) -> str:
    """Return `PostgreSQL` and its version.

    Of a server that wants SCRAM no more is known than that it answers: we say no password then.
    """
    words = ["user", login.user or "postgres"]
    words += ["database", login.database] if login.database else []
    body = struct.pack("!i", _VERSION_3) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
    line.say(struct.pack("!i", len(body) + 4) + body)
    version = ""
    while True:
        kind, body = _message(line)
        if kind == b"E":
            raise NoAnswerError(_words(body))
        if kind == b"R":
            how = struct.unpack("!i", body[:4])[0]
            if how == _SASL:
                return "PostgreSQL"
            if how != _OK:
                _say(line, _password(how, body[4:8], login))
        elif kind == b"S":
            name, value = body.split(b"\0")[:2]
            if name == b"server_version":
                version = value.decode("utf-8", "replace")
        elif kind == b"Z":
            line.say(b"X\0\0\0\4")
            return f"PostgreSQL {version}".rstrip()


def _message(line: ServerConnection) -> tuple[bytes, bytes]:
    kind, size = line.take(1), struct.unpack("!i", line.take(4))[0]
    if size < 4:  # noqa: PLR2004 - it counts itself
        raise NoAnswerError("it does not speak PostgreSQL's protocol")
    return kind, line.take(size - 4)


def _password(how: int, salt: bytes, login: Login) -> bytes:
    if how == _CLEAR:
        return login.password.encode()
    if how == _MD5:
        inner = hashlib.md5((login.password + login.user).encode()).hexdigest()  # noqa: S324
        return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()  # noqa: S324
    raise NoAnswerError(f"it asks for a way to log in that is not known here ({how})")


def _say(line: ServerConnection, password: bytes) -> None:
    line.say(b"p" + struct.pack("!i", len(password) + 5) + password + b"\0")


def _words(body: bytes) -> str:
    fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
    return fields.get(b"M", body).decode("utf-8", "replace")
