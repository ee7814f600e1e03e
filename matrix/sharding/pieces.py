"""A line of a shard's journal and its capture: what of them is believed, and what is worked out.

What a cell showed is judged from its capture; of the line only counts what the capture cannot say.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.journal import CaptureStore, Entry, is_transient, judged, result_key
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.records.values import cell_id, count, digest, seconds, text, time
from matrix.sharding.merging import Piece
from matrix.sharding.seals import CAPTURES, sha256
from matrix.sharding.untrusted import RefusedError, is_folder, json_of, read_file, unpacked

__all__ = ["LARGEST", "Rules", "capture_path", "entry_of", "piece_of"]

# Those of real cells have at most 0.3 MB, and 2 MB unpacked. Empty lists take 25 times the room of
# what JSON they are read from.
LARGEST = 20_000_000
_LARGEST_UNPACKED = 60_000_000
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)


@dataclasses.dataclass(frozen=True)
class Rules:
    """How captures are judged today; `key` is that of the judging."""

    probes: Mapping[str, Probe]
    key: str


def entry_of(line: bytes) -> Entry:
    """Return the entry that a line of a journal is; raise `RefusedError`."""
    try:
        entry = Entry.from_json(json_of(line))
        cell_id(entry.cell)
        digest(entry.key)
        digest(entry.base)
        if type(entry.transient) is not bool:
            raise TypeError("whether it is to be tried again is not said")
    except RefusedError:
        raise
    except _WRONG as error:
        raise RefusedError(f"is no entry ({type(error).__name__}: {error})") from error
    return entry


def capture_path(folder: Path, entry: Entry) -> Path:
    """Return where the capture of an entry that was checked lies; raise `RefusedError`."""
    path = CaptureStore(folder / CAPTURES).path(entry.cell, entry.key)
    if not is_folder(path.parent.parent) or not is_folder(path.parent):
        raise RefusedError("is missing")
    return path


def piece_of(path: Path, entry: Entry, planned: PlannedCell, rules: Rules) -> Piece:
    """Return the piece that an entry for a planned cell and its capture in `path` make.

    Raises `RefusedError`.
    """
    if entry.key != result_key(entry.base, planned, rules.probes):
        raise RefusedError("was made from other probes than its key says")
    content = read_file(path, LARGEST)
    try:
        data = json_of(unpacked(content, _LARGEST_UNPACKED))
        capture = CellCapture.from_json(data)
        _check(capture, entry)
        made = _judged(capture, entry, planned, rules)
        _writable(made)
    except _WRONG as error:
        raise RefusedError(f"is no capture ({type(error).__name__}: {error})") from error
    return Piece(made, sha256(content))


def _check(capture: CellCapture, entry: Entry) -> None:
    _check_texts(capture)
    if (capture.cell, capture.key) != (entry.cell, entry.key):
        raise RefusedError(f"is that of another result ({str(capture.cell)[:80]})")
    took = dt.timedelta(seconds=seconds(capture.seconds))
    if capture.started:
        if not time(capture.started).endswith("+00:00"):
            raise ValueError(f"{capture.started[:40]!r} is no time in UTC")
        _ = dt.datetime.fromisoformat(capture.started) + took  # raises beyond the last of years


def _check_texts(capture: CellCapture) -> None:
    """Raise TypeError where what is told as it stands is told in no words."""
    told: list[object] = [capture.detail, capture.isolation, capture.image, capture.engine]
    told += [*capture.services, *capture.lock]
    if where := capture.identity:
        count(where.bits)
        told += [where.python, where.build, where.machine, where.os, where.libc]
    for value in told:
        text(value)


def _judged(capture: CellCapture, entry: Entry, planned: PlannedCell, rules: Rules) -> Entry:
    # Whether it timed out before is all that the capture does not know.
    transient = is_transient(capture, timed_out_before=True) or (
        entry.transient and is_transient(capture)
    )
    return judged(capture, entry.base, planned, rules.probes, rules.key, transient=transient)


def _writable(entry: Entry) -> None:
    """Raise where a text of it is none that a file can hold, or a value is none of JSON's."""
    values: list[Any] = [entry.to_json()]
    while values:
        value = values.pop()
        if isinstance(value, Mapping):
            values += [*value.keys(), *value.values()]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            values += value
        elif isinstance(value, str):
            text(value)
        elif value is not None and not isinstance(value, (bool, int, float)):
            raise TypeError(f"{type(value).__name__} in place of a value")
