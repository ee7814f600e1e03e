"""HTTP: any answer but a server error, and what its `Server` says.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

__all__ = ["ask"]

_SERVER_ERROR = 500


def ask(line: ServerConnection, login: Login) -> str:  # noqa: ARG001 - it asks for none
    """Return the header `Server`, "HTTP" where there is none."""
    line.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    version, _, rest = line.line().decode("latin-1").partition(" ")
    status = rest.partition(" ")[0]
    if not version.startswith("HTTP/") or not status.isdigit():
        raise NoAnswerError("it does not speak HTTP")
    if int(status) >= _SERVER_ERROR:
        raise NoAnswerError(f"it answers {rest}")
    server = "HTTP"
    while head := line.line().decode("latin-1"):
        name, _, value = head.partition(":")
        if name.lower() == "server":
            server = value.strip()
    return server
