"""Values of files that anybody may have written: each is what it must be, or is refused."""

from __future__ import annotations

import datetime as dt
import functools
import re

from matrix.model.cell import Cell

# Of anything that is counted, and of seconds.
_MOST = 10**9
_SHA256 = re.compile(r"[0-9a-f]{64}")


def text(value: object) -> str:
    """Return a value that must be text; raise TypeError where it is not."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    value.encode()  # Half a character is in no file that was written, and can be written to none.
    return value


def digest(value: object) -> str:
    """Return a sha256 in hexadecimal letters; raise TypeError or ValueError for anything else."""
    told = text(value)
    if not _SHA256.fullmatch(told):
        raise ValueError(f"{told[:80]!r} is no sha256")
    return told


def count(value: object) -> int:
    """Return a whole number that is not negative; raise TypeError for anything else."""
    if type(value) is not int or not 0 <= value < _MOST:
        raise TypeError(f"{value!r} is no count")
    return value


def seconds(value: object) -> float:
    """Return a time that something took; raise TypeError where it is none."""
    if type(value) not in {int, float} or not 0 <= value < _MOST:  # type: ignore[operator]
        raise TypeError(f"{value!r} is no time in seconds")
    return float(value)  # type: ignore[arg-type]


def time(value: object) -> str:
    """Return an ISO time; raise ValueError where it is none."""
    told = text(value)
    dt.datetime.fromisoformat(told)
    return told


def cell_id(value: object) -> str:
    """Return a cell's id; raise ValueError where it is none, or its versions are none."""
    return _checked(text(value))


@functools.lru_cache(maxsize=2**16)
def _checked(told: str) -> str:
    # In a large plan each stands in many places.
    _ = Cell.parse(told).sort_key
    return told
