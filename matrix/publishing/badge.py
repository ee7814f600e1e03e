"""A run as a badge: the endpoint file that shields.io reads.

https://shields.io/badges/endpoint-badge
"""

from __future__ import annotations

from typing import Any

from matrix.model.verdict import Outcome
from matrix.records import Record

__all__ = ["badge"]


def badge(record: Record) -> dict[str, Any]:
    """Return it as plain JSON values; green only where everything is confirmed."""
    counts = {outcome: record.count(outcome) for outcome in Outcome}
    whole = not record.run.interrupted and not record.run.lost
    if counts[Outcome.REFUTED]:
        color = "red"
    elif counts[Outcome.UNVERIFIED] or not whole or not record.claims:
        color = "yellow"
    else:
        color = "brightgreen"
    words = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items() if count)
    return {
        "schemaVersion": 1,
        "label": "promises",
        "message": (words or "none") + ("" if whole else " (interrupted)"),
        "color": color,
    }
