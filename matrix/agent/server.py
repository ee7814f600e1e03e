"""The recording agent: answers a tracer of any age as its agent would, and keeps all it says.

A small threaded HTTP server on 127.0.0.1 that leaves nothing open behind.

The other service that the sample apps call: it records and says what it was called with.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import sys
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from matrix.agent import remote_config
from matrix.agent.payloads import MAX_BYTES, decode, undecodable
from matrix.agent.recorder import Recorder
from matrix.model.capture import AgentRequest
from matrix.model.probe import RemoteConfig

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Agent", "BodyTooLargeError", "LoopbackHandler", "LoopbackServer", "Upstream"]

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


T = TypeVar("T")

CONFIG_PATH = "/v0.7/config"
INFO = {
    "version": "7.99.0",
    # A tracer polls for remote configuration only where its endpoint is listed.
    "endpoints": [
        "/v0.3/traces",
        "/v0.4/traces",
        "/v0.5/traces",
        CONFIG_PATH,
        "/telemetry/proxy/",
    ],
    # Every span shall come, whatever the sampling, and with its structured data.
    "client_drop_p0s": False,
    "span_meta_structs": True,
    "config": {},
}


class Agent:
    """A context manager; everything stays readable after its end.

    `origin` (a value of `time.monotonic`) is where the clock of `AgentRequest.at` starts; without
    it, that is when the agent is made.
    """

    def __init__(self, port: int = 0, *, origin: float | None = None) -> None:
        """Bind 127.0.0.1:`port`, any free one for 0; raises OSError where it is taken."""
        self._recorder = Recorder(origin)
        self._lock = threading.Lock()
        self._configs = remote_config.NOTHING
        self._server = _Server(self, port)
        self.url = self._server.url
        self.port = self._server.server_port

    def __enter__(self) -> Self:
        self._server.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.__exit__(kind, error, traceback)

    def now(self) -> float:
        """Return the seconds since `origin`: the clock of `AgentRequest.at`."""
        return self._recorder.now()

    @property
    def requests(self) -> tuple[AgentRequest, ...]:
        """All requests so far, in the order in which they came."""
        return self._recorder.requests

    @property
    def failed(self) -> BaseException | None:
        """The first error within the agent itself: its record has a hole then."""
        return self._recorder.failed

    def wait_for(
        self, predicate: Callable[[Sequence[AgentRequest]], T], timeout: float
    ) -> T | None:
        """Return the first true value of `predicate(requests)`, None after `timeout` seconds."""
        return self._recorder.wait_for(predicate, timeout)

    def push(self, configs: Sequence[RemoteConfig]) -> int:
        """Make `configs` all the remote configuration there is; return the version to wait for.

        An empty list withdraws everything. Raises ValueError for two of one product and id.
        """
        with self._lock:
            self._configs = self._configs.followed_by(configs)
            return self._configs.version

    def wait_acknowledged(self, version: int, timeout: float) -> bool:
        """Return whether a tracer said, within `timeout` seconds, that it has this version."""

        def acknowledged(requests: Sequence[AgentRequest]) -> bool:
            return any(
                remote_config.acknowledged_version(request.body) >= version
                for request in requests
                if request.path == CONFIG_PATH
            )

        return bool(self.wait_for(acknowledged, timeout))

    def respond(self, path: str, body: object) -> object:
        """Return the answer to a request, as JSON values."""
        if path == "/info":
            return INFO
        if path == CONFIG_PATH:
            with self._lock:
                return self._configs.answer(body)
        if path.endswith("/traces"):
            return {"rate_by_service": {}}
        return {}

    def keep(self, request: AgentRequest) -> None:
        """Add to the record."""
        self._recorder.add(request)

    def fail(self, error: BaseException) -> None:
        """Note an error of the agent itself."""
        self._recorder.fail(error)


class _Server(LoopbackServer):
    def __init__(self, agent: Agent, port: int) -> None:
        super().__init__(_Handler, port)
        self.agent = agent

    def failed(self, error: BaseException) -> None:
        self.agent.fail(error)


class _Handler(LoopbackHandler):
    server: _Server

    def do_POST(self) -> None:
        agent = self.server.agent
        at = agent.now()
        path = self.path.split("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = 200
        try:
            raw = self.read_body()
        except BodyTooLargeError as error:
            body, status = undecodable(f"larger than {MAX_BYTES} bytes", error.args[0]), 413
        except ValueError as error:
            body, status = undecodable(f"broken framing: {error}", b""), 400
        else:
            body = decode(path, headers, raw)
        # Answered before it is recorded: who waits for the record may stop the tracer at once.
        with contextlib.suppress(ConnectionError):
            self.answer(agent.respond(path, body), status)
        agent.keep(AgentRequest(at, self.command, path, headers, body))

    do_PUT = do_GET = do_POST  # noqa: N815 - likewise


class Upstream(LoopbackServer):
    """A catalogue of books; its answer repeats the headers of the request, in lower case.

    `requests` are the calls so far; the clock of their `at` starts at `origin`, as the agent's.
    """

    def __init__(self, port: int = 0, *, origin: float | None = None) -> None:
        """Bind 127.0.0.1:`port`, any free one for 0; raises OSError where it is taken."""
        super().__init__(_UpstreamHandler, port)
        self.recorder = Recorder(origin)

    @property
    def requests(self) -> tuple[AgentRequest, ...]:
        """All calls so far, with the names of the headers in lower case."""
        return self.recorder.requests

    def failed(self, error: BaseException) -> None:
        """Keep `error`."""
        self.recorder.fail(error)


class _UpstreamHandler(LoopbackHandler):
    server: Upstream

    def do_GET(self) -> None:
        recorder = self.server.recorder
        headers = {name.lower(): value for name, value in self.headers.items()}
        # Recorded first: the app answers its client as soon as it has this answer.
        recorder.add(AgentRequest(recorder.now(), self.command, self.path, headers, None))
        with contextlib.suppress(ConnectionError):
            self.answer(
                {"path": self.path, "titles": ["Kokoro", "Middlemarch"], "headers": headers}
            )
