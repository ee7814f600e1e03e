"""What was collected, laid where a run on this machine would have left it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from matrix.errors import IncompleteRunError
from matrix.journal import CaptureStore, Journal
from matrix.sharding.merging import Merged
from matrix.sharding.pieces import LARGEST
from matrix.sharding.seals import CAPTURES, JOURNAL, sha256
from matrix.sharding.untrusted import RefusedError, read_file

__all__ = ["deposit"]


def deposit(merged: Merged, files: Mapping[str, Path], results: Path) -> int:
    """Write what is not there yet, and return how many results that were.

    `files` says where captures lie, by their sha256. What is there by the same key is replaced, as
    by a new run; but what ended here is not given up for what is to be tried again. A capture is
    written before its line, so that one that is cut short can be done again. Raises StorageError,
    and IncompleteRunError where a file has changed since it was read.
    """
    captures = CaptureStore(results / CAPTURES)
    count = 0
    with contextlib.closing(Journal(results / JOURNAL)) as journal:
        there = journal.read().entries
        ordered = sorted(merged.values(), key=lambda piece: (piece.entry.started, piece.entry.key))
        for piece in ordered:
            cell, key = piece.entry.cell, piece.entry.key
            here, digest = there.get(key), _digest(captures.path(cell, key))
            same = digest == piece.capture
            if same and here == piece.entry:
                continue
            if here and digest and piece.entry.transient and not here.transient:
                continue
            if not same:
                captures.put(cell, key, _content(files[piece.capture], piece.capture))
            journal.append(piece.entry)
            count += 1
    return count


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes())
    except OSError:
        return ""


def _content(path: Path, digest: str) -> bytes:
    try:
        content = read_file(path, LARGEST)
    except RefusedError as error:
        raise IncompleteRunError(f"{path} {error}", _HINT) from error
    if sha256(content) != digest:
        raise IncompleteRunError(f"{path} has changed while it was collected", _HINT)
    return content


_HINT = "Collect again when nothing writes there any more."
