"""The recording agent, and the upstream service that the sample apps call.

Both are threaded HTTP servers on 127.0.0.1 that record their requests. The agent responds to a
tracer of any release as Datadog's agent would.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from matrix.agent.payloads import (
    MAX_BYTES,
    NO_CONFIGS,
    acknowledged_version,
    decode,
    json_length,
    undecodable,
)
from matrix.model.capture import AgentRequest
from matrix.model.probe import RemoteConfig

if TYPE_CHECKING:
    from typing_extensions import Self


T = TypeVar("T")

CLIENT_SECONDS = 30.0
POLL_SECONDS = 0.05
_PATH_CHARACTERS = 200


class BodyTooLargeError(Exception):
    """A request body is too large; `args[0]` is the part that was read."""


class LoopbackHandler(http.server.BaseHTTPRequestHandler):
    """Reads bodies, plain or chunked; responds with JSON and closes the connection."""

    protocol_version = "HTTP/1.1"
    timeout = CLIENT_SECONDS

    def log_message(self, *_: object) -> None:
        """Log nothing, as requests are recorded."""

    def read_body(self, max_bytes: int) -> bytes:
        """Return the request's body.

        Raises BodyTooLargeError, ValueError where the framing is broken, and ConnectionError where
        the client disconnected.
        """
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._read_chunks(max_bytes)
        length = int(self.headers.get("Content-Length") or 0)
        if length < 0:
            raise ValueError(f"Content-Length {length}")
        if length > max_bytes:
            raise BodyTooLargeError(b"")
        return self._read_exactly(length)

    def send_json(self, content: object, status: int = 200) -> None:
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

    def _read_chunks(self, max_bytes: int) -> bytes:
        body = bytearray()
        while True:
            size = int(self.rfile.readline(1024).split(b";")[0], 16)
            if size < 0:
                raise ValueError(f"chunk of {size} bytes")
            if len(body) + size > max_bytes:
                raise BodyTooLargeError(bytes(body))
            if size == 0:
                break
            body += self._read_exactly(size)
            self.rfile.readline(1024)
        while self.rfile.readline(65536) not in (b"\r\n", b"\n", b""):
            pass  # trailers
        return bytes(body)


class RecordingServer(http.server.ThreadingHTTPServer):
    """A server with a thread of its own and a growing list of requests, as a context manager.

    Its record stays readable after the context. `origin` (a value of `time.monotonic`) is the start
    of the clock of `AgentRequest.at`, by default the construction of the server.
    """

    daemon_threads = False
    block_on_close = True

    def __init__(
        self, handler: type[LoopbackHandler], port: int = 0, *, origin: float | None = None
    ) -> None:
        """Bind 127.0.0.1:`port`, any free one for 0; raises OSError where it is in use."""
        self._origin = time.monotonic() if origin is None else origin
        self._requests: list[AgentRequest] = []
        self._failed: BaseException | None = None
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(POLL_SECONDS,), name="loopback", daemon=True
        )
        super().__init__(("127.0.0.1", port), handler)

    @property
    def port(self) -> int:
        """The port of the server."""
        return self.server_port

    @property
    def url(self) -> str:
        """The URL of the server, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def now(self) -> float:
        """Return the seconds since `origin`: the clock of `AgentRequest.at`."""
        return time.monotonic() - self._origin

    @property
    def requests(self) -> tuple[AgentRequest, ...]:
        """All requests so far, in the order in which they came, headers in lower case."""
        with self._changed:
            return tuple(self._requests)

    @property
    def failed(self) -> BaseException | None:
        """The first error of the server itself, whose record is incomplete then."""
        with self._changed:
            return self._failed

    def record(self, request: AgentRequest) -> None:
        """Append `request` and wake all waiting threads."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def wait_for(
        self, predicate: Callable[[Sequence[AgentRequest]], T], timeout: float
    ) -> T | None:
        """Return the first true value of `predicate`, or None after `timeout` seconds.

        The predicate is called with all requests so far, now and after every new one. After an
        error of the server it is called once more, and the wait ends.
        """
        deadline = time.monotonic() + timeout
        checked = -1
        while True:
            with self._changed:
                while len(self._requests) == checked and self._failed is None:
                    remaining = deadline - time.monotonic()
                    if remaining <= 0 or not self._changed.wait(remaining):
                        return None
                snapshot, failed = tuple(self._requests), self._failed
            checked = len(snapshot)
            # Without the lock: a slow predicate must not delay the tracer.
            result = predicate(snapshot)
            if result:
                return result
            if failed is not None:
                return None

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can take seconds."""
        super(http.server.HTTPServer, self).server_bind()
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Add the connection to those that are closed with the server."""
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Close the connection."""
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002
        """Store the first error and wake all waiting threads, unless a client just disconnected."""
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, ConnectionError | TimeoutError):
            with self._changed:
                self._failed = self._failed or error
                self._changed.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):  # the client may have disconnected first
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


CONFIG_PATH = "/v0.7/config"
INFO = {
    "version": "7.99.0",
    # A tracer polls for remote configuration only where its endpoint is listed.
    "endpoints": [
        *("/v0.3/traces", "/v0.4/traces", "/v0.5/traces", CONFIG_PATH, "/telemetry/proxy/"),
        # From 4.x, results of tests are sent to it alone:
        # https://github.com/DataDog/datadog-agent/blob/main/pkg/trace/api/evp_proxy.go
        "/evp_proxy/v2/",
    ],
    # Tracers must send every span, whatever the sampling, with its structured data.
    "client_drop_p0s": False,
    "span_meta_structs": True,
    "config": {},
}


class Agent(RecordingServer):
    """The recording agent; larger bodies than `max_bytes` are refused.

    Of all requests together as much is kept; a note is in place of each body after that.
    """

    def __init__(
        self, port: int = 0, *, origin: float | None = None, max_bytes: int = MAX_BYTES
    ) -> None:
        super().__init__(_AgentHandler, port, origin=origin)
        self.max_bytes = max_bytes
        self._kept = 0
        self._configs = NO_CONFIGS
        self._configs_lock = threading.Lock()

    def push(self, configs: Sequence[RemoteConfig]) -> int:
        """Replace all remote configuration by `configs`; return the version to wait for.

        An empty list withdraws everything. Raises ValueError for two of one product and id.
        """
        with self._configs_lock:
            self._configs = self._configs.followed_by(configs)
            return self._configs.version

    def wait_acknowledged(self, version: int, timeout: float) -> bool:
        """Return whether a tracer acknowledges this version within `timeout` seconds."""

        def acknowledged(requests: Sequence[AgentRequest]) -> bool:
            return any(
                acknowledged_version(request.body) >= version
                for request in requests
                if request.path == CONFIG_PATH
            )

        return bool(self.wait_for(acknowledged, timeout))

    def keep(self, request: AgentRequest) -> None:
        """Record a request, whole if there is room."""
        length = sum(json_length(part) for part in (request.headers, request.path, request.body))
        with self._changed:
            self._kept += length
            whole = self._kept <= self.max_bytes
        if not whole:
            note = {"left_out": f"beyond {self.max_bytes} bytes"}
            path = request.path[:_PATH_CHARACTERS]
            request = dataclasses.replace(request, path=path, headers={}, body=note)
        self.record(request)

    def respond(self, path: str, body: object) -> object:
        """Return the response to a request, as JSON values."""
        if path == "/info":
            return INFO
        if path == CONFIG_PATH:
            with self._configs_lock:
                return self._configs.answer(body)
        if path.endswith("/traces"):
            return {"rate_by_service": {}}
        return {}


class _AgentHandler(LoopbackHandler):
    server: Agent

    def do_POST(self) -> None:
        agent = self.server
        at = agent.now()
        path = self.path.split("?")[0]
        headers = {name.lower(): value for name, value in self.headers.items()}
        status = 200
        try:
            raw = self.read_body(agent.max_bytes)
        except BodyTooLargeError as error:
            body, status = undecodable(f"larger than {agent.max_bytes} bytes", error.args[0]), 413
        except ValueError as error:
            body, status = undecodable(f"broken framing: {error}", b""), 400
        else:
            body = decode(path, headers, raw, max_bytes=agent.max_bytes)
        # Respond first: a thread that waits for the record may stop the tracer at once.
        with contextlib.suppress(ConnectionError):
            self.send_json(agent.respond(path, body), status)
        agent.keep(AgentRequest(at, self.command, path, headers, body))

    do_PUT = do_GET = do_POST  # noqa: N815 - names of the base class


class Upstream(RecordingServer):
    """A catalogue of books, whose response repeats the headers of the request in lower case."""

    def __init__(self) -> None:
        super().__init__(_UpstreamHandler)


class _UpstreamHandler(LoopbackHandler):
    server: Upstream

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        # Record first: the app responds to its client as soon as it has this response.
        self.server.record(AgentRequest(self.server.now(), self.command, self.path, headers, None))
        with contextlib.suppress(ConnectionError):
            self.send_json(
                {"path": self.path, "titles": ["Kokoro", "Middlemarch"], "headers": headers}
            )
