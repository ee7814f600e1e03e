"""The interpreter that runs this, or the one that its environment was made from."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.source import InterpreterSource, SearchPlaces

__all__ = ["SOURCE"]


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    if places.platform == sys.platform:
        base: str = getattr(sys, "_base_executable", "") or sys.executable
        yield Path(base)


SOURCE = InterpreterSource("running", 60, _candidates)
