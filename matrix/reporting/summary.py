"""What the final report says, before it is drawn: rows, gaps and counts. Pure."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence

from matrix.model.claim import Claim
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, Verdict
from matrix.verify.result import RunResult

__all__ = ["Gap", "Row", "cell_counts", "gaps", "ran", "rows"]

_ORDER = (Outcome.REFUTED, Outcome.CONFIRMED, Outcome.UNVERIFIED)
# What these say is the same for many cells, and says what to do.
_OF_THE_MACHINE = {Reason.NO_INTERPRETER, Reason.INDEX_UNAVAILABLE, Reason.DISK_FULL}


@dataclasses.dataclass(frozen=True)
class Row:
    """One fact with its verdict; several documents may state it."""

    verdict: Verdict
    claims: tuple[Claim, ...]


@dataclasses.dataclass(frozen=True)
class Gap:
    """What keeps `claims` claims from an answer.

    `cell` is one to try by hand, or ""; `details` what the failed cells said, each once.
    """

    reason: Reason
    claims: int
    cell: str
    details: tuple[str, ...] = ()


def rows(result: RunResult) -> list[Row]:
    """Return every claim, equal facts with equal answers as one, refuted ones first.

    Within an outcome the order is that of the claims.
    """
    claims = {claim.id: claim for claim in result.plan.claims}
    grouped: dict[tuple[object, ...], list[Verdict]] = defaultdict(list)
    for verdict in result.verdicts:
        fact = claims[verdict.claim].fact
        grouped[fact, verdict.outcome, verdict.tightness, verdict.reason].append(verdict)
    made = [
        Row(verdicts[0], tuple(claims[verdict.claim] for verdict in verdicts))
        for verdicts in grouped.values()
    ]
    return sorted(made, key=lambda row: _ORDER.index(row.verdict.outcome))


def gaps(result: RunResult) -> list[Gap]:
    """Return the reasons of what is unverified, the most frequent first."""
    found: dict[Reason, list[Verdict]] = defaultdict(list)
    for verdict in result.verdicts:
        if verdict.reason is not None:
            found[verdict.reason].append(verdict)
    made = [
        Gap(reason, len(verdicts), _cell(verdicts), _details(reason, result))
        for reason, verdicts in found.items()
    ]
    return sorted(made, key=lambda gap: -gap.claims)


def ran(result: RunResult) -> int:
    """Return how many cells came to an end in this run, of whatever kind."""
    cut = {Reason.INTERRUPTED, Reason.NO_INTERPRETER}
    return sum(not cell.reused and cell.reason not in cut for cell in result.cells)


def cell_counts(result: RunResult) -> str:
    """Return how many cells ran, were reused, failed and were left out, in words."""
    words = [f"{ran(result)} run", f"{sum(cell.reused for cell in result.cells)} reused"]
    added = sum(cell.fallback for cell in result.cells)
    if added:
        words.append(f"{added} of them added as further controls")
    failed = Counter(cell.reason.value for cell in result.cells if cell.reason)
    words += [f"{count} {reason}" for reason, count in failed.most_common()]
    return ", ".join(words)


def _details(reason: Reason, result: RunResult) -> tuple[str, ...]:
    said = (
        cell.detail.splitlines()[0]
        for cell in result.cells
        if cell.reason is reason and cell.detail
    )
    return tuple(dict.fromkeys(said)) if reason in _OF_THE_MACHINE else ()


def _cell(verdicts: Sequence[Verdict]) -> str:
    for verdict in verdicts:
        for part in verdict.parts:
            if part.reason is verdict.reason and part.cells:
                return part.cells[0]
    return ""
