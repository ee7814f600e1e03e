"""What changed, on a screen and as JSON (schema diff/1)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from rich.console import Console
from rich.text import Text

from matrix.publishing.changes import Change, Changes, Direction, Side
from matrix.records import Record
from matrix.reporting.words import many, outcome_word, place, promise

__all__ = ["SCHEMA", "as_json", "is_worse", "tell_changes"]

SCHEMA = "diff/1"
_STYLES = {
    Direction.WORSE: "bold red",
    Direction.LOST: "yellow",
    Direction.BETTER: "green",
}
_BAD = (Direction.WORSE, Direction.LOST)


def is_worse(found: Changes) -> bool:
    """Return whether anything that one could rely on cannot be relied on any more."""
    return any(change.direction in _BAD for change in found.changes)


def tell_changes(console: Console, found: Changes) -> None:
    """Print each change with its evidence, and how many promises stayed as they were."""
    if found.by_promise:
        console.print("The runs share no document: promises are compared by what they say.")
    for change in found.changes:
        _tell(console, change)
    counts = Counter(change.direction for change in found.changes)
    words = [f"{count} {each.value}" for each in Direction if (count := counts[each])]
    summary = ", ".join([*words, f"{many(found.same, 'promise')} unchanged"])
    console.print(summary, highlight=False, style="bold")


def as_json(found: Changes, before: Record, after: Record) -> dict[str, Any]:
    """Return all of it as plain JSON values."""
    return {
        "schema": SCHEMA,
        "before": {"run": before.name, "started": before.run.started, "sha256": before.sha256},
        "after": {"run": after.name, "started": after.run.started, "sha256": after.sha256},
        "matched_by": "promise" if found.by_promise else "id",
        "same": found.same,
        "changes": [
            {
                "direction": change.direction.value,
                "claim": change.side.claim.to_json(),
                "before": _verdict(change.before),
                "after": _verdict(change.after),
            }
            for change in found.changes
        ],
    }


def _tell(console: Console, change: Change) -> None:
    side = change.side
    line = Text(f"{change.direction.value:6} ", _STYLES.get(change.direction, "dim"))
    line.append(f"{promise(side.claim)} ", "default")
    line.append(place([side.claim]), "dim")
    console.print(line, soft_wrap=True)
    was, now = (_word(each) for each in (change.before, change.after))
    console.print(Text(f"       {was} -> {now}"), soft_wrap=True)
    console.print(Text(f"       {side.verdict.evidence}", "dim"), soft_wrap=True)


def _word(side: Side | None) -> str:
    return outcome_word(side.verdict) if side else "not there"


def _verdict(side: Side | None) -> dict[str, Any] | None:
    return side.verdict.to_json() if side else None
