"""PostgreSQL: the `server_version` that the server reports after the login.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import hashlib
import struct

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_VERSION_3 = 196608
_OK, _CLEAR, _MD5, _SASL = 0, 3, 5, 10


def identify(connection: ServerConnection, login: Login) -> str:
    """Return `PostgreSQL` and its version; only `PostgreSQL` where the login needs SCRAM."""
    words = ["user", login.user or "postgres"]
    words += ["database", login.database] if login.database else []
    body = struct.pack("!i", _VERSION_3) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
    connection.send(struct.pack("!i", len(body) + 4) + body)
    version = ""
    while True:
        kind, body = _read_message(connection)
        if kind == b"E":
            raise NoAnswerError(_error_text(body))
        if kind == b"R":
            method = struct.unpack("!i", body[:4])[0]
            if method == _SASL:
                return "PostgreSQL"
            if method != _OK:
                password = _encode_password(method, body[4:8], login)
                connection.send(b"p" + struct.pack("!i", len(password) + 5) + password + b"\0")
        elif kind == b"S":
            name, value = body.split(b"\0")[:2]
            if name == b"server_version":
                version = value.decode("utf-8", "replace")
        elif kind == b"Z":
            connection.send(b"X\0\0\0\4")
            return f"PostgreSQL {version}".rstrip()


def _read_message(connection: ServerConnection) -> tuple[bytes, bytes]:
    kind, size = connection.read(1), struct.unpack("!i", connection.read(4))[0]
    if size < 4:  # noqa: PLR2004 - it counts itself
        raise NoAnswerError("not a server of PostgreSQL's protocol")
    return kind, connection.read(size - 4)


def _encode_password(method: int, salt: bytes, login: Login) -> bytes:
    if method == _CLEAR:
        return login.password.encode()
    if method == _MD5:
        inner = hashlib.md5((login.password + login.user).encode()).hexdigest()  # noqa: S324
        return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()  # noqa: S324
    raise NoAnswerError(f"unsupported authentication method {method}")


def _error_text(body: bytes) -> str:
    fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
    return fields.get(b"M", body).decode("utf-8", "replace")
