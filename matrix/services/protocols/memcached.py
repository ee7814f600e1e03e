"""Memcached: `version`, see https://github.com/memcached/memcached/blob/master/doc/protocol.txt."""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection


def identify(connection: ServerConnection, login: Login) -> str:  # noqa: ARG001 - not needed
    """Return `memcached` and its version."""
    connection.send(b"version\r\n")
    keyword, _, version = connection.read_line().decode("utf-8", "replace").partition(" ")
    if keyword != "VERSION":
        raise NoAnswerError(f"not a server of memcached's protocol: {keyword}")
    return f"memcached {version}"
