"""Validate values of files from untrusted sources."""

from __future__ import annotations

import datetime as dt
import functools
import re

from matrix.model.cell import Cell

# The limit of counts and of seconds.
_MOST = 10**9
_SHA256 = re.compile(r"[0-9a-f]{64}")


def text(value: object) -> str:
    """Return a value that must be text; raise TypeError where it is not."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    value.encode()  # A lone surrogate cannot be written to a file.
    return value


def digest(value: object) -> str:
    """Return a sha256 in hexadecimal digits; raise TypeError or ValueError for anything else."""
    sha256 = text(value)
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"{sha256[:80]!r} is not a sha256")
    return sha256


def count(value: object) -> int:
    """Return a whole number that is not negative; raise TypeError for anything else."""
    if type(value) is not int or not 0 <= value < _MOST:
        raise TypeError(f"{value!r} is not a count")
    return value


def seconds(value: object) -> float:
    """Return a duration in seconds; raise TypeError for anything else."""
    if type(value) not in {int, float} or not 0 <= value < _MOST:  # type: ignore[operator]
        raise TypeError(f"{value!r} is not a time in seconds")
    return float(value)  # type: ignore[arg-type]


def time(value: object) -> str:
    """Return an ISO time that has one in UTC; raise ValueError for anything else."""
    iso_time = text(value)
    try:
        dt.datetime.fromisoformat(iso_time).astimezone(dt.timezone.utc)
    except OverflowError as error:
        raise ValueError(f"{iso_time!r} is too far away") from error
    return iso_time


def cell_id(value: object) -> str:
    """Return a cell's id; raise ValueError for another text, or for invalid versions."""
    return _check_cell_id(text(value))


@functools.lru_cache(maxsize=2**16)
def _check_cell_id(cell: str) -> str:
    # Cached, as an id occurs many times in a large plan. Versions may have spaces around them.
    if not cell.isprintable() or " " in cell:
        raise ValueError(f"{cell!r} is not the id of a cell")
    _ = Cell.parse(cell).sort_key
    return cell
