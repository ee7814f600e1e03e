"""The time a cell has left."""

from __future__ import annotations

import time

__all__ = ["Deadline"]


class Deadline:
    """A moment that bounds every wait of a cell."""

    def __init__(self, seconds: float) -> None:
        """Set it `seconds` from now."""
        self._at = time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether it is over."""
        return self.left() <= 0

    def left(self, at_most: float = float("inf")) -> float:
        """Return how many seconds are left, 0 where none, never more than `at_most`."""
        return max(0.0, min(self._at - time.monotonic(), at_most))
