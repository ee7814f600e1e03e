"""The interpreter that runs this, or the base interpreter of its virtual environment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.discovery import InterpreterSource, SearchPlaces


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    if places.platform == sys.platform:
        yield Path(getattr(sys, "_base_executable", "") or sys.executable)


SOURCE = InterpreterSource("running", 60, _candidates)
