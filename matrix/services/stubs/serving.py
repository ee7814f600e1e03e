"""What stubs share: a Unix socket or a port of 127.0.0.1, a thread for each connection, HTTP.

A stub is a program of the standard library alone, run in a process of its own. It ends when it is
told to by a signal.
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

__all__ = ["Answer", "Peer", "Request", "Talk", "serve", "serve_http"]

_IDLE_SECONDS = 300.0
_MOST_BYTES = 1 << 20


class Peer:
    """A client's connection. Both methods raise OSError, also where the client has gone."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def take(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        if count > _MOST_BYTES:
            raise ConnectionError(f"a client wants to send {count} bytes")
        data = bytearray()
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                raise ConnectionError("the client has gone")
            data += piece
        return bytes(data)

    def say(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)


Talk = Callable[[Peer], None]
"""Talks to one client until it has gone; OSError and ValueError end its connection alone."""


def serve(where: str, talk: Talk) -> None:
    """Serve for ever at `where`: a port of 127.0.0.1, or the path of a Unix socket."""
    with _listener(where) as listener:
        listener.listen(64)
        while True:
            sock = listener.accept()[0]
            threading.Thread(target=_talk, args=(sock, talk), daemon=True).start()


def _listener(where: str) -> socket.socket:
    if not where.isdigit():
        if sys.platform == "win32":
            raise OSError("there are no Unix sockets here")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(where)
        return listener
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if sys.platform != "win32":  # where it would share a port that is taken
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(where)))
    return listener


def _talk(sock: socket.socket, talk: Talk) -> None:
    with sock, contextlib.suppress(OSError, ValueError):
        sock.settimeout(_IDLE_SECONDS)
        talk(Peer(sock))


@dataclasses.dataclass(frozen=True)
class Request:
    """A client's request. `path` are the parts between slashes; headers have lower-case names."""

    method: str
    path: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    content: bytes = b""

    def json(self) -> dict[str, object]:
        """Return the object that its content is, an empty one where there is none.

        Raises ValueError, which the client is told.
        """
        found = json.loads(self.content) if self.content.strip() else {}
        if not isinstance(found, dict):
            raise ValueError("this is no JSON object")  # noqa: TRY004 - as what is no JSON at all
        return found


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a client is told: `body` as JSON, nothing for None."""

    body: object
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


def serve_http(where: str, name: str, answer: Callable[[Request], Answer]) -> None:
    """Serve HTTP for ever at `where`, and be called `name` there (a word, `/`, and a version)."""

    class Handler(_Handler):
        server_version = name

        def answer(self, request: Request) -> Answer:
            return answer(request)

    serve(where, lambda peer: _handle(Handler, peer.sock))


def _handle(handler: type[_Handler], sock: socket.socket) -> None:
    # What a handler wants of its server is for its log only.
    handler(sock, "", None)  # type: ignore[arg-type]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    sys_version = ""

    def answer(self, request: Request) -> Answer:
        raise NotImplementedError

    def _do(self) -> None:
        url = urlsplit(self.path)
        length = self.headers.get("Content-Length", "0")
        counted = length.isdecimal() and int(length) <= _MOST_BYTES
        if not counted or "Transfer-Encoding" in self.headers:
            self._say(Answer({"message": "say a Content-Length, not too large"}, 413))
            self.close_connection = True
            return
        request = Request(
            self.command,
            tuple(unquote(part) for part in url.path.split("/") if part),
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {key.lower(): value for key, value in self.headers.items()},
            self.rfile.read(int(length)),
        )
        try:
            answer = self.answer(request)
        except ValueError as error:
            answer = Answer({"message": str(error)}, 400)
        self._say(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _do  # noqa: N815 - names of the base class

    def _say(self, answer: Answer) -> None:
        content = b"" if answer.body is None else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        headers = {"Content-Type": "application/json; charset=UTF-8", **dict(answer.headers)}
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002 - the base class's name
        """Be quiet."""
