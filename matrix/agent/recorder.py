"""What was received so far, for several threads: one appends, others wait for what they need."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from matrix.model.capture import AgentRequest

__all__ = ["Recorder"]

T = TypeVar("T")


class Recorder:
    """A growing list of requests; `now()` is the clock of their `at`, in seconds."""

    def __init__(self, origin: float | None = None) -> None:
        """Start the clock now, or at `origin` (a value of `time.monotonic`)."""
        self._origin = time.monotonic() if origin is None else origin
        self._requests: list[AgentRequest] = []
        self._failed: BaseException | None = None
        self._changed = threading.Condition()

    def now(self) -> float:
        """Return the seconds since the clock was started."""
        return time.monotonic() - self._origin

    @property
    def requests(self) -> tuple[AgentRequest, ...]:
        """All requests so far."""
        with self._changed:
            return tuple(self._requests)

    @property
    def failed(self) -> BaseException | None:
        """The first error of the recording side itself."""
        with self._changed:
            return self._failed

    def add(self, request: AgentRequest) -> None:
        """Keep `request` and wake all who wait."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Keep the first `error` and wake all who wait."""
        with self._changed:
            self._failed = self._failed or error
            self._changed.notify_all()

    def wait_for(
        self, predicate: Callable[[Sequence[AgentRequest]], T], timeout: float
    ) -> T | None:
        """Return the first true value of `predicate`, or None after `timeout` seconds.

        The predicate is called with all requests so far, now and whenever one more has come. It
        ends early, with None, once the recording side has failed.
        """
        deadline = time.monotonic() + timeout
        seen = -1
        while True:
            with self._changed:
                while len(self._requests) == seen and self._failed is None:
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        return None
                snapshot, failed = tuple(self._requests), self._failed
            seen = len(snapshot)
            # Not under the lock: a slow predicate must not hold up the tracer.
            found = predicate(snapshot)
            if found:
                return found
            if failed is not None:
                return None
