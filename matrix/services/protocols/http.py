"""HTTP: the `Server` header of any response but a server error.

https://www.rfc-editor.org/rfc/rfc9112
"""

from __future__ import annotations

from matrix.services.protocol import Login, NoAnswerError, ServerConnection

_SERVER_ERROR = 500


def identify(connection: ServerConnection, login: Login) -> str:  # noqa: ARG001 - not needed
    """Return the header `Server`, "HTTP" where there is none."""
    connection.send(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    version, _, rest = connection.read_line().decode("latin-1").partition(" ")
    status = rest.partition(" ")[0]
    if not version.startswith("HTTP/") or not status.isdigit():
        raise NoAnswerError("not an HTTP server")
    if int(status) >= _SERVER_ERROR:
        raise NoAnswerError(f"HTTP status {rest}")
    server = "HTTP"
    while header := connection.read_line().decode("latin-1"):
        name, _, value = header.partition(":")
        if name.lower() == "server":
            server = value.strip()
    return server
