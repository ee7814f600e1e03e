"""Which fallback controls a run still needs, and which claims have all their cells in."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from matrix.judging.stepping import next_step
from matrix.judging.table import FindingTable
from matrix.model.plan import Part
from matrix.model.verdict import Shows

__all__ = ["Waiting", "waits_for"]

# What is waited for: a cell and the probe that is to run in it.
Waiting = tuple[str, str]


def waits_for(part: Part, known: FindingTable, ended: AbstractSet[Waiting]) -> str | None:
    """Return the next control to step back to, or None where the part needs none.

    Only an ABSENT minimum does: no control changes the answer of one that crashed or did not start.
    A control that has ended is not asked for again, also when it gave no finding. Controls are
    asked for one by one: the newest first. Where a library's release cannot be used, it is asked
    which one can (`stepping`).
    """
    if cell := next_step(part, known, ended):
        return cell
    minimum = known.of(part, part.minimum)
    if minimum is None or minimum.shows is not Shows.ABSENT or part.holds_without:
        return None
    for cell in part.controls:
        if cell == part.minimum:
            continue
        finding = known.of(part, cell)
        if finding is not None and finding.shows is Shows.PRESENT:
            return None
        if finding is None and (cell, part.probe) not in ended:
            return cell
    return None
