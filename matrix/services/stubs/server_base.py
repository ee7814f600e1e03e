"""The base of stub servers: a Unix socket or a port, a thread for each connection, and HTTP.

A stub is a program that needs only the standard library, runs in its own process, and ends by a
signal.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import socket
import sys
import threading
from collections.abc import Callable
from urllib.parse import parse_qsl, unquote, urlsplit

_IDLE_SECONDS = 300.0
_MAX_BYTES = 1 << 20


class Peer:
    """A client's connection. Both methods raise OSError, also where the client has disconnected."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def read(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        if count > _MAX_BYTES:
            raise ConnectionError(f"message of {count} bytes (at most {_MAX_BYTES})")
        data = bytearray()
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                raise ConnectionError("the client disconnected")
            data += piece
        return bytes(data)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)


@dataclasses.dataclass(frozen=True)
class StubRequest:
    """A client's request. `path` has the parts between slashes; header names are in lower case."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes = b""

    def json(self) -> dict[str, object]:
        """Return the object in the content, an empty one where there is no content.

        Raises ValueError, which becomes status 400.
        """
        value = json.loads(self.content) if self.content.strip() else {}
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004 - as for invalid JSON
        return value


@dataclasses.dataclass(frozen=True)
class StubResponse:
    """A response with `body` as JSON, empty for None, or as it is for bytes."""

    body: object
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def serve(address: str, handle: Callable[[Peer], None]) -> None:
    """Serve forever at `address`: a port of 127.0.0.1, or the path of a Unix socket.

    `handle` serves one client until it disconnects; its OSError and ValueError end only that
    connection.
    """

    def run(sock: socket.socket) -> None:
        with sock, contextlib.suppress(OSError, ValueError):
            sock.settimeout(_IDLE_SECONDS)
            handle(Peer(sock))

    with _bind(address) as listener:
        listener.listen(64)
        while True:
            sock = listener.accept()[0]
            threading.Thread(target=run, args=(sock,), daemon=True).start()


def serve_http(address: str, name: str, respond: Callable[[StubRequest], StubResponse]) -> None:
    """Serve HTTP forever at `address`; `name` (`product/version`) is the header `Server`."""

    class Handler(_StubHandler):
        server_version = name

        def respond(self, request: StubRequest) -> StubResponse:
            return respond(request)

    def handle(peer: Peer) -> None:
        # A handler needs its client's address and its server for its log only.
        Handler(peer.sock, "", None)  # type: ignore[arg-type]

    serve(address, handle)


def _bind(address: str) -> socket.socket:
    if not address.isdigit():
        if sys.platform == "win32":
            raise OSError("Windows has no Unix sockets")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(address)
        return listener
    return socket.create_server(("127.0.0.1", int(address)))


class _StubHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sys_version = ""

    def respond(self, request: StubRequest) -> StubResponse:
        raise NotImplementedError

    def _handle_request(self) -> None:
        url = urlsplit(self.path)
        length = self.headers.get("Content-Length", "0")
        valid = length.isdecimal() and int(length) <= _MAX_BYTES
        if not valid or "Transfer-Encoding" in self.headers:
            message = f"Content-Length of at most {_MAX_BYTES} required"
            self._send(StubResponse({"message": message}, 413))
            self.close_connection = True
            return
        request = StubRequest(
            self.command,
            tuple(unquote(part) for part in url.path.split("/") if part),
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {key.lower(): value for key, value in self.headers.items()},
            self.rfile.read(int(length)),
        )
        try:
            response = self.respond(request)
        except ValueError as error:
            response = StubResponse({"message": str(error)}, 400)
        self._send(response)

    # The names are those of the base class.
    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _handle_request  # noqa: N815

    def _send(self, response: StubResponse) -> None:
        body = response.body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if body is None:
            content = b""
        self.send_response(response.status)
        headers = {"Content-Type": "application/json; charset=UTF-8", **dict(response.headers)}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Log nothing."""
