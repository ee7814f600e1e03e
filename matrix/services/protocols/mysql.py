"""MySQL and MariaDB: the greeting tells the version.

https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
"""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]

_HANDSHAKE = 10
_ERROR = 255
# What MariaDB puts before its version, for clients that take 10 for old.
_DISGUISE = "5.5.5-"


def ask(line: ServerConnection, login: Login) -> str:  # noqa: ARG001 - the greeting comes first
    """Return `MySQL` or `MariaDB`, and the version."""
    head = line.take(4)
    body = line.take(int.from_bytes(head[:3], "little"))
    if body[:1] == bytes([_ERROR]):
        raise NoAnswerError(body[3:].decode("utf-8", "replace"))
    if body[:1] != bytes([_HANDSHAKE]):
        raise NoAnswerError("it does not speak MySQL's protocol")
    version = body[1:].split(b"\0")[0].decode("utf-8", "replace").removeprefix(_DISGUISE)
    return f"{'MariaDB' if 'MariaDB' in version else 'MySQL'} {version}"
