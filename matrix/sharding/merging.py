"""What shards found, put together: the same whatever comes first, or twice. Pure.

Of equal results nothing is lost by taking one. Where two differ, a total order says which counts,
so that every collector of the same pieces finds the same.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping

from matrix.journal import Entry

__all__ = ["Merged", "Piece", "began", "best_of_cells", "merge"]

Merged = Mapping[str, "Piece"]
"""Pieces by the key of their result."""

_NEVER = dt.datetime.min.replace(tzinfo=dt.timezone.utc)


@dataclasses.dataclass(frozen=True)
class Piece:
    """A cell that ended, and the sha256 of the file that holds its capture: the two go together."""

    entry: Entry
    capture: str


def merge(*parts: Iterable[Piece] | Merged) -> dict[str, Piece]:
    """Return one piece for each key: what ended over what is to be tried again, then the later."""
    best: dict[str, Piece] = {}
    for part in parts:
        for piece in part.values() if isinstance(part, Mapping) else part:
            _take(best, piece.entry.key, piece)
    return dict(sorted(best.items()))


def best_of_cells(merged: Merged) -> dict[str, Piece]:
    """Return the piece that counts for each cell, which may have results by several keys."""
    best: dict[str, Piece] = {}
    for piece in merged.values():
        _take(best, piece.entry.cell, piece)
    return best


def _take(best: dict[str, Piece], name: str, piece: Piece) -> None:
    held = best.get(name)
    if held is None or _rank(piece) > _rank(held):
        best[name] = piece


def _rank(piece: Piece) -> tuple[bool, dt.datetime, str, str]:
    """Return what orders all pieces; only equal ones have the same."""
    entry = piece.entry
    text = json.dumps(entry.to_json(), sort_keys=True)
    return not entry.transient, began(entry) or _NEVER, piece.capture, text


def began(entry: Entry) -> dt.datetime | None:
    """Return when a cell was started, None where it did not come so far as to be."""
    return dt.datetime.fromisoformat(entry.started) if entry.started else None
