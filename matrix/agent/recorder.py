"""A thread-safe list of recorded requests, whose readers can wait for a condition."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from matrix.model.capture import AgentRequest

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
        """All requests so far, in the order in which they came."""
        with self._changed:
            return tuple(self._requests)

    @property
    def failed(self) -> BaseException | None:
        """The first error of the recorder's own server."""
        with self._changed:
            return self._failed

    def add(self, request: AgentRequest) -> None:
        """Append `request` and wake all waiting threads."""
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Store the first `error` and wake all waiting threads."""
        with self._changed:
            self._failed = self._failed or error
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
