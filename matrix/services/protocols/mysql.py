"""MySQL and MariaDB: the version in the server's greeting.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
"""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_HANDSHAKE = 10
_ERROR = 255
# MariaDB's prefix of its version, for clients that consider 10 older than 5.
_COMPATIBILITY_PREFIX = "5.5.5-"


def identify(connection: ServerConnection, login: Login) -> str:  # noqa: ARG001 - not needed yet
    """Return `MySQL` or `MariaDB`, and the version."""
    head = connection.read(4)
    body = connection.read(int.from_bytes(head[:3], "little"))
    if body[:1] == bytes([_ERROR]):
        raise NoAnswerError(body[3:].decode("utf-8", "replace"))
    if body[:1] != bytes([_HANDSHAKE]):
        raise NoAnswerError("not a server of MySQL's protocol")
    version = body[1:].split(b"\0")[0].decode("utf-8", "replace")
    version = version.removeprefix(_COMPATIBILITY_PREFIX)
    return f"{'MariaDB' if 'MariaDB' in version else 'MySQL'} {version}"
