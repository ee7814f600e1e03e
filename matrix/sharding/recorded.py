"""How long cells took, from recorded runs and journals."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from matrix.errors import UnreadableInputError
from matrix.journal import Journal
from matrix.model.cell import Cell
from matrix.records import parse_record, read_content
from matrix.records.values import cell_id, seconds, time
from matrix.sharding.measuring import Took

__all__ = ["cells_that_ran"]

_REMEDY = "A run is in .matrix/records, and what it wrote as it went in .matrix/journal.jsonl."


def cells_that_ran(path: Path, say: Callable[[str], None]) -> list[Took]:
    """Return the cells that a file tells of and that ran: none took no time.

    `say` gets what cannot be read of a journal. Raises `UnreadableInputError`, naming the file.
    """
    content = read_content(path)
    found = list(_of_journal(path, say) if _is_journal(content) else _of_record(content, path))
    if not found:
        raise UnreadableInputError(f"{path} tells of no cell that ran", _REMEDY)
    return found


def _is_journal(content: bytes) -> bool:
    """Return whether the first line is an entry by itself."""
    try:
        first = json.loads(content.split(b"\n", 1)[0])
    except (ValueError, RecursionError):
        return False
    return isinstance(first, dict) and "key" in first


def _of_journal(path: Path, say: Callable[[str], None]) -> Iterator[Took]:
    reading = Journal(path).read()
    for remark in reading.remarks:
        say(remark)
    for entry in reading.entries.values():
        try:
            took, started = seconds(entry.seconds), time(entry.started)
            cell = Cell.parse(cell_id(entry.cell))
        except (TypeError, ValueError) as error:
            say(f"{path}: skipped an entry that tells of no cell ({error})")
            continue
        if took:
            soak = bool(entry.soak)
            yield Took(cell.id, cell.target, cell.framework, started, len(entry.probes), soak, took)


def _of_record(content: bytes, path: Path) -> Iterator[Took]:
    for line in parse_record(content, str(path)).cells:
        if line.seconds and line.started and line.probes:
            cell = Cell.parse(line.id)
            yield Took(
                line.id,
                cell.target,
                cell.framework,
                line.started,
                len(line.probes),
                None,
                line.seconds,
            )
