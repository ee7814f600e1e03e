"""Compare two recorded runs, and print the changes or return them as JSON (schema diff/1).

Claims are the same by id, which does not change by edits elsewhere in a document. Where the two
runs share no document, claims are the same by promise: `capability/sca` of a page and its
translation.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from rich.console import Console
from rich.text import Text

from matrix.judging.sentences import evidence_text
from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, Verdict
from matrix.reporting.json import verdict_to_json
from matrix.reporting.rows import WORST_FIRST
from matrix.reporting.text import claim_lines, count_text, outcome_text, promise_text
from matrix.runs.record import Record
from matrix.system.visible import shown


class Direction(str, enum.Enum):
    """The direction of a change: to confirmed is better, to refuted is worse.

    A confirmed claim that is now unverified is `lost`. A claim that is not in the newer run is
    `gone`; one that is not in the older run is `new`, or `worse` where it is refuted.
    """

    WORSE = "worse"
    LOST = "lost"
    BETTER = "better"
    OTHER = "other"
    NEW = "new"
    GONE = "gone"


@dataclasses.dataclass(frozen=True)
class DiffSide:
    """A claim and its verdict in one of the runs."""

    claim: Claim
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class VerdictChange:
    """A claim with another answer; `before` or `after` is None where that run does not have it.

    `side` is the newer side.
    """

    direction: Direction
    side: DiffSide
    before: DiffSide | None
    after: DiffSide | None

    @property
    def words(self) -> tuple[str, str]:
        """The outcome before and the one now, in words."""
        was, now = (
            outcome_text(side.verdict) if side else "not there"
            for side in (self.before, self.after)
        )
        return was, now


@dataclasses.dataclass(frozen=True)
class RunDiff:
    """All changes, the worst first; `same` is the number of claims with equal answers."""

    changes: tuple[VerdictChange, ...]
    same: int
    by_promise: bool

    @property
    def notable(self) -> list[VerdictChange]:
        """The changes of more than the detail of an outcome."""
        return [change for change in self.changes if change.direction is not Direction.OTHER]


def compare_records(before: Record, after: Record) -> RunDiff:
    """Return the changes from one run to the other."""
    documents = {claim.document for claim in before.claims}
    by_promise = documents.isdisjoint(claim.document for claim in after.claims)
    key_of = _promise if by_promise else attrgetter("id")
    old, new = _sides(before, key_of), _sides(after, key_of)
    found = [
        change
        for key in dict.fromkeys((*new, *old))
        if (change := _change(old.get(key), new.get(key)))
    ]
    order = list(Direction)
    return RunDiff(
        tuple(sorted(found, key=lambda change: order.index(change.direction))),
        len(old.keys() | new.keys()) - len(found),
        by_promise,
    )


def _promise(claim: Claim) -> str:
    return claim.id.removeprefix(f"{claim.document}/")


def _sides(record: Record, key_of: Callable[[Claim], str]) -> Mapping[str, DiffSide]:
    verdicts = record.verdict_by_claim
    # Where several documents of a run make the same promise, the worst answer counts.
    sides: Iterable[DiffSide] = sorted(
        (DiffSide(claim, verdicts[claim.id]) for claim in record.claims),
        key=lambda side: WORST_FIRST.index(side.verdict.outcome),
        reverse=True,
    )
    return {key_of(side.claim): side for side in sides}


def _change(before: DiffSide | None, after: DiffSide | None) -> VerdictChange | None:
    if after is None:
        return VerdictChange(Direction.GONE, before, before, None) if before else None
    if before is None:
        refuted = after.verdict.outcome is Outcome.REFUTED
        return VerdictChange(Direction.WORSE if refuted else Direction.NEW, after, None, after)
    was, now = before.verdict, after.verdict
    if (was.outcome, was.tightness, was.reason) == (now.outcome, now.tightness, now.reason):
        return None
    if was.outcome is now.outcome:
        direction = Direction.OTHER
    elif now.outcome is Outcome.CONFIRMED:
        direction = Direction.BETTER
    elif now.outcome is Outcome.REFUTED:
        direction = Direction.WORSE
    else:
        direction = Direction.LOST if was.outcome is Outcome.CONFIRMED else Direction.OTHER
    return VerdictChange(direction, after, before, after)


SCHEMA = "diff/1"
_STYLES = {Direction.WORSE: "bold red", Direction.LOST: "yellow", Direction.BETTER: "green"}
_BAD = (Direction.WORSE, Direction.LOST)


def is_worse(found: RunDiff) -> bool:
    """Return whether any change is for the worse."""
    return any(change.direction in _BAD for change in found.changes)


def print_changes(console: Console, found: RunDiff) -> None:
    """Print each change with its evidence, and the number of unchanged claims."""
    found = shown(found)
    if found.by_promise:
        console.print("The runs share no document: claims are compared by what they say.")
    for change in found.changes:
        _print_change(console, change)
    counts = Counter(change.direction for change in found.changes)
    texts = [f"{count} {each.value}" for each in Direction if (count := counts[each])]
    summary = ", ".join([*texts, f"{count_text(found.same, 'claim')} unchanged"])
    console.print(summary, highlight=False, style="bold")


def diff_to_json(found: RunDiff, before: Record, after: Record) -> dict[str, Any]:
    """Return the changes as plain JSON values."""
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


def _print_change(console: Console, change: VerdictChange) -> None:
    side = change.side
    line = Text(f"{change.direction.value:6} ", _STYLES.get(change.direction, "dim"))
    line.append(f"{promise_text(side.claim)} ", "default")
    line.append(claim_lines([side.claim]), "dim")
    console.print(line, soft_wrap=True)
    was, now = change.words
    console.print(Text(f"       {was} -> {now}"), soft_wrap=True)
    console.print(Text(f"       {evidence_text(side.verdict.facts)}", "dim"), soft_wrap=True)


def _verdict(side: DiffSide | None) -> dict[str, Any] | None:
    return verdict_to_json(side.verdict) if side else None
