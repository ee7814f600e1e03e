"""Where cells ran, in a few words. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from matrix.model.cell import Cell
from matrix.model.verdict import Outcome, Verdict
from matrix.planning.where import short
from matrix.reporting.words import MARKS, many
from matrix.verify.result import CellRecord, RunResult

__all__ = ["THIS_MACHINE", "marks", "unisolated", "where_lines"]

THIS_MACHINE = "this machine"
_WORST = (Outcome.REFUTED, Outcome.UNVERIFIED, Outcome.CONFIRMED)


def where_lines(result: RunResult) -> Iterator[str]:
    """Yield for each engine how many cells it ran, of which targets, and how they were held."""
    by_engine: dict[str, list[CellRecord]] = defaultdict(list)
    for cell in result.cells:
        if cell.where is not None:
            by_engine[cell.where.engine].append(cell)
    for engine, cells in by_engine.items():
        counts = Counter(Cell.parse(cell.cell).target for cell in cells)
        targets = ", ".join(f"{short(target)} {count}" for target, count in counts.items())
        held = dict.fromkeys(cell.where.isolation for cell in cells if cell.where)
        place = f"in {engine}" if engine else f"on {THIS_MACHINE}"
        yield f"{many(len(cells), 'cell')} {place}: {targets} ({'; '.join(held)})"


def unisolated(result: RunResult) -> str:
    """Return the warning that cells could reach the network, "" where none could."""
    free = [cell.where for cell in result.cells if cell.where and not cell.where.isolated]
    if not free:
        return ""
    why = "; ".join(dict.fromkeys(where.isolation for where in free))
    return f"{many(len(free), 'cell')} could reach the network while releases ran in it: {why}"


def marks(verdicts: Iterable[Verdict]) -> str:
    """Return the answer on each target, `amd64 ✓ 386 ✓ arm64 ?`, "" where there is one only."""
    found: dict[str, Outcome] = {}
    for verdict in verdicts:
        for part in verdict.parts:
            target = short(Cell.parse(part.cells[0]).target)
            found[target] = min(part.outcome, found.get(target, part.outcome), key=_WORST.index)
    if len(found) < 2:  # noqa: PLR2004 - the one stands in the cells' ids
        return ""
    return " ".join(f"{target} {MARKS[outcome]}" for target, outcome in found.items())
