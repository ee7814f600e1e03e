"""Memcached: `version`, see https://github.com/memcached/memcached/blob/master/doc/protocol.txt."""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]


def ask(line: ServerConnection, login: Login) -> str:  # noqa: ARG001 - it asks for none
    """Return `memcached` and its version."""
    line.say(b"version\r\n")
    word, _, version = line.line().decode("utf-8", "replace").partition(" ")
    if word != "VERSION":
        raise NoAnswerError(f"it does not speak memcached's protocol: {word}")
    return f"memcached {version}"
