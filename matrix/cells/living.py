"""What cells of this process have started and not yet ended."""

from __future__ import annotations

import threading
from typing import Protocol

__all__ = ["kill_all", "note_end", "note_start"]


class Mortal(Protocol):
    """Something that can be ended at once."""

    def kill(self) -> None:
        """End it, without waiting for long; no complaint where it has ended."""
        ...


_living: set[Mortal] = set()
_lock = threading.Lock()


def note_start(mortal: Mortal) -> None:
    """Take note of what was started."""
    with _lock:
        _living.add(mortal)


def note_end(mortal: Mortal) -> None:
    """Take note that it has ended."""
    with _lock:
        _living.discard(mortal)


def kill_all() -> None:
    """Kill all that was started here and still runs."""
    with _lock:
        mortals = tuple(_living)
    for mortal in mortals:
        mortal.kill()
