"""The recording agent: answers a tracer of any age as its agent would, and keeps all it says."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from matrix.agent import remote_config
from matrix.agent.loopback import BodyTooLargeError, LoopbackHandler, LoopbackServer
from matrix.agent.payloads import MAX_BYTES, decode, undecodable
from matrix.agent.recorder import Recorder
from matrix.model.capture import AgentRequest
from matrix.model.probe import RemoteConfig

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Agent"]

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

    def do_POST(self) -> None:  # noqa: N802 - the base class asks for it
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
