"""A small threaded HTTP server on 127.0.0.1 that leaves nothing open behind."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Any

from matrix.agent.payloads import MAX_BYTES

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BodyTooLargeError", "LoopbackHandler", "LoopbackServer"]

CLIENT_SECONDS = 30.0
POLL_SECONDS = 0.05


class BodyTooLargeError(Exception):
    """A body beyond MAX_BYTES; what was read of it is `args[0]`."""


class LoopbackHandler(http.server.BaseHTTPRequestHandler):
    """Reads whole bodies, plain or chunked; answers JSON and closes the connection."""

    protocol_version = "HTTP/1.1"
    timeout = CLIENT_SECONDS

    def log_message(self, *_: object) -> None:
        """Say nothing: what came in is recorded."""

    def read_body(self) -> bytes:
        """Return the request's body.

        Raises BodyTooLargeError, ValueError where the framing is broken, and ConnectionError where
        the client went away.
        """
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError(f"Content-Length {length}")
        if length > MAX_BYTES:
            raise BodyTooLargeError(b"")
        return self._read_exactly(length)

    def answer(self, content: object, status: int = 200) -> None:
        """Send `content` as JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def _read_exactly(self, length: int) -> bytes:
        data = self.rfile.read(length)
        if len(data) < length:
            raise ConnectionAbortedError(f"body ends after {len(data)} of {length} bytes")
        return data

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = int(self.rfile.readline(1024).split(b";")[0], 16)
            if size < 0:
                raise ValueError(f"chunk of {size} bytes")
            if len(body) + size > MAX_BYTES:
                raise BodyTooLargeError(bytes(body))
            if size == 0:
                break
            body += self._read_exactly(size)
            self.rfile.readline(1024)
        while self.rfile.readline(65536) not in (b"\r\n", b"\n", b""):
            pass  # trailers
        return bytes(body)


class LoopbackServer(http.server.ThreadingHTTPServer):
    """Serves in a thread of its own while the context is open; `failed` is told of errors."""

    daemon_threads = False
    block_on_close = True

    def __init__(self, handler: type[LoopbackHandler], port: int = 0) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="loopback", daemon=True
        )
        super().__init__(("127.0.0.1", port), handler)

    @property
    def url(self) -> str:
        """The address to reach it at, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which can take seconds."""
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def failed(self, error: BaseException) -> None:
        """Take note of an error in a handler."""

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Remember the connection, to close it with the server."""
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Forget the connection and close it."""
        with self._lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Pass on what went wrong, but for a client that went away: that one was stopped."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            self.failed(error)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._thread.join()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client may have been quicker
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()
