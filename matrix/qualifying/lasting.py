"""Until when a sign-off holds: evidence grows old, and waivers run out. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from matrix.qualifying.gate import Decision, Fate, Judged, on_target, started_at
from matrix.qualifying.policy import Policy
from matrix.records import CellLine, Record

__all__ = ["evidence_of", "lasts_until", "oldest"]


def evidence_of(decision: Decision, record: Record, policy: Policy) -> tuple[CellLine, ...]:
    """Return the cells that the answers to the passing claims rest on."""
    named = {cell for each in decision.of(Fate.PASSED) for cell in _cells(each, record, policy)}
    return tuple(line for line in record.cells if line.id in named)


def oldest(decision: Decision, record: Record, policy: Policy) -> dt.datetime | None:
    """Return when the oldest of these cells was run."""
    times = (started_at(line) for line in evidence_of(decision, record, policy))
    return min((each for each in times if each is not None), default=None)


def lasts_until(decision: Decision, record: Record, policy: Policy) -> dt.datetime:
    """Return the last moment at which this record passes the gate."""
    ends = [
        dt.datetime.combine(waiver.until, dt.time.max, tzinfo=dt.timezone.utc)
        for waiver in policy.waivers
    ]
    first = oldest(decision, record, policy)
    if first is not None:
        ends.append(first + policy.max_age)
    return min(ends)


def _cells(judged: Judged, record: Record, policy: Policy) -> Iterator[str]:
    asked = {part.cell for part in judged.claim.parts if on_target(part.cell, policy)}
    for part in record.verdict_by_claim[judged.claim.id].parts:
        if part.cells[0] in asked:
            yield from part.cells
