"""Trying: again while the index does not answer, and never twice what would fail again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from matrix.environments.failures import BuildError
from matrix.model.reason import Reason

__all__ = ["Attempts"]

_TIMES = 3

_T = TypeVar("_T")


class Attempts:
    """Failures by key, remembered while this object lives, but for those that may pass.

    `wait_seconds` is the first pause before the index is tried again; `offline`, once is enough.
    """

    def __init__(self, *, offline: bool, wait_seconds: float) -> None:
        self._offline = offline
        self._wait_seconds = wait_seconds
        self._failed: dict[str, BuildError] = {}
        self._down = threading.Event()

    def make(self, key: str, make: Callable[[], _T]) -> _T:
        """Return what `make` returns; raise its BuildError, without a call where it is known."""
        if key in self._failed:
            told = self._failed[key]
            raise BuildError(told.reason, told.detail, told.log)
        try:
            return self._retrying(make)
        except BuildError as error:
            if not error.passing:
                self._failed[key] = error
            raise

    def _retrying(self, make: Callable[[], _T]) -> _T:
        """Try again while the index does not answer, unless it already failed for others."""
        import stamina  # noqa: PLC0415 - not for a look at what is finished

        def away(error: Exception) -> bool:
            return isinstance(error, BuildError) and error.reason is Reason.INDEX_UNAVAILABLE

        once = self._offline or self._down.is_set()
        try:
            for attempt in stamina.retry_context(
                on=away,
                attempts=1 if once else _TIMES,
                timeout=None,
                wait_initial=self._wait_seconds,
                wait_jitter=self._wait_seconds,
            ):
                with attempt:
                    made = make()
            self._down.clear()
        except BuildError as error:
            if away(error):
                self._down.set()
            raise
        return made
