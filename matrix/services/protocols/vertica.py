"""Vertica: the `server_version` after a login as in PostgreSQL's protocol.

https://docs.vertica.com/latest/en/connecting-to/
"""

from __future__ import annotations

from matrix.services.protocol import Login, ServerConnection
from matrix.services.protocols.postgres import CLEAR, log_in


def identify(connection: ServerConnection, login: Login) -> str:
    """Return `Vertica` and its version; only `Vertica` where a plain password does not suffice."""
    return log_in(connection, login, "Vertica", "dbadmin", _encode_password)


def _encode_password(method: int, _salt: bytes, login: Login) -> bytes | None:
    return login.password.encode() if method == CLEAR else None
