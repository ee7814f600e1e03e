"""The cells of a table's row in the line as the file has it: where they are, how wide they are."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

__all__ = ["cell_spans", "new_row", "refitted", "width"]

_PIPE = re.compile(r"(?<!\\)\|")


def cell_spans(line: str) -> list[tuple[int, int]]:
    """Return where the cells of a row are, their padding with them, as the reading splits them."""
    pipes = [found.start() for found in _PIPE.finditer(line)]
    starts, ends = [0, *(pipe + 1 for pipe in pipes)], [*pipes, len(line)]
    spans = list(zip(starts, ends, strict=True))
    if not line[slice(*spans[0])].strip(" \t>"):
        spans = spans[1:]
    if spans and not line[slice(*spans[-1])].strip():
        spans = spans[:-1]
    return spans


def width(text: str) -> int:
    """Return how many columns a text takes where wide letters take two."""
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def refitted(cell: str, text: str, others: Sequence[str], lead: str = " ") -> str:
    """Return a cell with other text.

    Where cells of the same column (`others`) are as wide as it is, it stays as wide if it can, so
    that the pipes stay in line. `lead` is the padding before a text where there was none.
    """
    old = cell.strip()
    if old:
        start = cell.index(old)
        before, after = cell[:start], cell[start + len(old) :]
    else:
        before = lead if cell and text else ""
        after = " " if cell else ""
    changed = before + text + after
    if width(cell) in map(width, others) or not old:
        room = width(cell) - width(before + text)
        changed = before + text + " " * max(room, 1 if after else 0)
    return changed


def new_row(texts: Sequence[str], model: str, rows: Sequence[str]) -> str:
    """Return a line with these texts as cells, in the manner of the row `model`.

    `rows` are all lines of the table: a cell is made as wide as most cells of its column.
    """
    spans = cell_spans(model)
    line, at = "", 0
    for number, ((start, end), text) in enumerate(zip(spans, texts, strict=True)):
        cell = model[start:end]
        old = cell.strip()
        before = cell[: len(cell) - len(cell.lstrip())] if old else " "
        closed = end < len(model)
        made = before + text + (" " if closed and (cell.endswith(" ") or not old) else "")
        if closed:
            made += " " * (_usual_width(rows, number) - width(made))
        line += model[at:start] + made
        at = end
    return line + model[at:]


def _usual_width(rows: Sequence[str], number: int) -> int:
    widths = Counter(
        width(row[slice(*spans[number])]) for row in rows if len(spans := cell_spans(row)) > number
    )
    common = widths.most_common(1)
    return common[0][0] if common else 0
