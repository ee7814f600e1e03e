"""The other service that the sample apps call: it records and says what it was called with."""

from __future__ import annotations

import contextlib

from matrix.agent.loopback import LoopbackHandler, LoopbackServer
from matrix.agent.recorder import Recorder
from matrix.model.capture import AgentRequest

__all__ = ["Upstream"]


class Upstream(LoopbackServer):
    """A catalogue of books; its answer repeats the headers of the request, in lower case.

    `requests` are the calls so far; the clock of their `at` starts at `origin`, as the agent's.
    """

    def __init__(self, port: int = 0, *, origin: float | None = None) -> None:
        """Bind 127.0.0.1:`port`, any free one for 0; raises OSError where it is taken."""
        super().__init__(_Handler, port)
        self.recorder = Recorder(origin)

    @property
    def requests(self) -> tuple[AgentRequest, ...]:
        """All calls so far, with the names of the headers in lower case."""
        return self.recorder.requests

    def failed(self, error: BaseException) -> None:
        """Keep `error`."""
        self.recorder.fail(error)


class _Handler(LoopbackHandler):
    server: Upstream

    def do_GET(self) -> None:  # noqa: N802 - the base class asks for it
        recorder = self.server.recorder
        headers = {name.lower(): value for name, value in self.headers.items()}
        # Recorded first: the app answers its client as soon as it has this answer.
        recorder.add(AgentRequest(recorder.now(), self.command, self.path, headers, None))
        with contextlib.suppress(ConnectionError):
            self.answer(
                {"path": self.path, "titles": ["Kokoro", "Middlemarch"], "headers": headers}
            )
