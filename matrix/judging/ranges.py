"""The releases in which a broken promise was seen to hold.

A promise "from V" covers the releases after V. Where an earlier release keeps it and a later one
does not, the answer is refuted, and says how far it holds. In one environment (the same CPython,
target and framework release), by all releases of the tracer that ran for the claim:

====================  ==========================================================================
of the range          what it is
====================  ==========================================================================
lowest                the lowest release that shows it
fails                 the lowest above that which does not, or the refuted one itself
highest               the highest below `fails` that shows it
again                 those above `fails` that show it
====================  ==========================================================================

Releases that were not run may do either: the search of `minimum --upper` finds the exact end.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Sequence

from packaging.version import Version

from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.fact import FactKind, fact
from matrix.model.plan import Part
from matrix.model.verdict import Observed, Outcome, PartVerdict

# The kinds of claims that a search can be about.
_SEARCHED = frozenset({ClaimKind.AUTHENTICATION, ClaimKind.CAPABILITY, ClaimKind.NOTE})


def with_ranges(
    claim: Claim, parts: Sequence[Part], verdicts: Sequence[PartVerdict], findings: FindingTable
) -> list[PartVerdict]:
    """Return the verdicts on the parts of a claim; refuted ones say where an earlier release holds.

    Each such has the range among its facts, and what to search for its exact end as a remark.
    """
    cells: dict[tuple[str, str, Cell], set[Cell]] = defaultdict(set)
    for part in parts:
        for cell in part.cells:
            cells[part.probe, part.channel, _environment(cell)].add(cell)
    return [
        _with_range(
            claim,
            part,
            verdict,
            cells[part.probe, part.channel, _environment(part.minimum)],
            findings,
        )
        for part, verdict in zip(parts, verdicts, strict=True)
    ]


def _with_range(
    claim: Claim, part: Part, verdict: PartVerdict, cells: set[Cell], findings: FindingTable
) -> PartVerdict:
    if verdict.outcome is not Outcome.REFUTED or part.expects_absent:
        return verdict
    shows = {cell: item.shows for cell in cells if (item := findings.get(part, cell))}
    shows[part.minimum] = Observed.ABSENT
    ascending = sorted(shows, key=lambda cell: Version(cell.ddtrace))
    works = [cell for cell in ascending if shows[cell] is Observed.PRESENT]
    if not works or not works[0].is_earlier(part.minimum):
        return verdict
    fails = next(
        cell for cell in ascending if shows[cell] is Observed.ABSENT and works[0].is_earlier(cell)
    )
    highest = [cell for cell in works if cell.is_earlier(fails)][-1]
    range_fact = fact(
        FactKind.HOLDS_IN,
        highest,
        lowest=works[0].ddtrace,
        highest=highest.ddtrace,
        fails=fails.ddtrace,
        again=tuple(cell.ddtrace for cell in works if fails.is_earlier(cell)),
    )
    verdict = dataclasses.replace(verdict, facts=(*verdict.facts, range_fact))
    subject = _search_subject(claim, part)
    if not subject:
        return verdict
    search = fact(
        FactKind.SEARCH_END,
        highest,
        subject=subject,
        channel=part.channel,
        lowest=works[0].ddtrace,
        fails=fails.ddtrace,
    )
    return dataclasses.replace(verdict, remarks=(*verdict.remarks, search))


def _search_subject(claim: Claim, part: Part) -> str:
    """Return the subject of a search for the exact end, "" where none is possible."""
    if part.pick or part.contained:
        return ""
    if claim.kind is ClaimKind.FRAMEWORK:
        return f"{ClaimKind.CAPABILITY.value}:{claim.get('capability')}"
    return f"{claim.kind.value}:{claim.subject}" if claim.kind in _SEARCHED else ""


def _environment(cell: Cell) -> Cell:
    """Return the cell without its release of the tracer: equal for all releases in one."""
    return dataclasses.replace(cell, ddtrace="0")
