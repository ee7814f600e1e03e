"""PostgreSQL: the `server_version` that the server reports after the login.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_VERSION_3 = 196608
_OK, CLEAR, _MD5, _SASL = 0, 3, 5, 10


def identify(connection: ServerConnection, login: Login) -> str:
    """Return `PostgreSQL` and its version; only `PostgreSQL` where the login needs SCRAM."""
    return log_in(connection, login, "PostgreSQL", "postgres", _encode_password)


def log_in(
    connection: ServerConnection,
    login: Login,
    product: str,
    default_user: str,
    encode_password: Callable[[int, bytes, Login], bytes | None],
) -> str:
    """Return product and version; only the product where the password cannot be encoded.

    `encode_password` gets the method that the server requires, and its salt. Raises NoAnswerError.
    """
    words = ["user", login.user or default_user]
    words += ["database", login.database] if login.database else []
    body = struct.pack("!i", _VERSION_3) + b"".join(w.encode() + b"\0" for w in words) + b"\0"
    connection.send(struct.pack("!i", len(body) + 4) + body)
    version = ""
    while True:
        kind, size = connection.read(1), struct.unpack("!i", connection.read(4))[0]
        if size < 4:  # noqa: PLR2004 - it counts itself
            raise NoAnswerError(f"not a server of {product}'s protocol")
        body = connection.read(size - 4)
        if kind == b"E":
            fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
            raise NoAnswerError(fields.get(b"M", body).decode("utf-8", "replace"))
        if kind == b"R":
            method = int.from_bytes(body[:4], "big")
            if method != _OK:
                password = encode_password(method, body[4:8], login)
                if password is None:
                    return product
                connection.send(b"p" + struct.pack("!i", len(password) + 5) + password + b"\0")
        elif kind == b"S" and body.startswith(b"server_version\0"):
            version = body.split(b"\0")[1].decode("utf-8", "replace")
        elif kind == b"Z":
            connection.send(b"X\0\0\0\4")
            return f"{product} {version}".rstrip()


def _encode_password(method: int, salt: bytes, login: Login) -> bytes | None:
    if method == _SASL:
        return None
    if method == CLEAR:
        return login.password.encode()
    if method == _MD5:
        inner = hashlib.md5((login.password + login.user).encode()).hexdigest()  # noqa: S324
        return b"md5" + hashlib.md5(inner.encode() + salt).hexdigest().encode()  # noqa: S324
    raise NoAnswerError(f"unsupported authentication method {method}")
