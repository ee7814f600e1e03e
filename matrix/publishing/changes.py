"""What changed between two recorded runs: pure.

Claims are the same by id, which survives edits elsewhere in a document. Where the two runs share
no document, they are the same by what is promised: `capability/sca` of a page and its translation.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterable, Mapping

from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, Verdict
from matrix.records import Record

__all__ = ["Change", "Changes", "Direction", "Side", "changes"]


class Direction(str, enum.Enum):
    """Where a verdict went. Only towards `confirmed` is better, only into `refuted` is worse.

    A promise that was confirmed and cannot be told any more is `lost`. One that is not asked any
    more is `gone`, whatever it was; one that is new is `new`, but `worse` where it is refuted.
    """

    WORSE = "worse"
    LOST = "lost"
    BETTER = "better"
    OTHER = "other"
    NEW = "new"
    GONE = "gone"


@dataclasses.dataclass(frozen=True)
class Side:
    """A claim and the answer to it in one of the runs."""

    claim: Claim
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class Change:
    """One promise whose answer is another; `before` or `after` is None where it is not there.

    `side` is the newer of those that there are.
    """

    direction: Direction
    side: Side
    before: Side | None
    after: Side | None


@dataclasses.dataclass(frozen=True)
class Changes:
    """All of them, the worst first; `same` promises have the same answer in both."""

    changes: tuple[Change, ...]
    same: int
    by_promise: bool


def changes(before: Record, after: Record) -> Changes:
    """Return what changed from one run to the other."""
    by_promise = not {one.document for one in before.claims} & {
        one.document for one in after.claims
    }
    name = _promise if by_promise else _id
    old, new = _sides(before, name), _sides(after, name)
    found = [
        change
        for key in dict.fromkeys((*new, *old))
        if (change := _change(old.get(key), new.get(key)))
    ]
    order = list(Direction)
    return Changes(
        tuple(sorted(found, key=lambda change: order.index(change.direction))),
        len(old.keys() | new.keys()) - len(found),
        by_promise,
    )


def _id(claim: Claim) -> str:
    return claim.id


def _promise(claim: Claim) -> str:
    return claim.id.removeprefix(f"{claim.document}/")


def _sides(record: Record, name: Callable[[Claim], str]) -> Mapping[str, Side]:
    verdicts = record.verdict_by_claim
    # Several documents of one run may promise the same: the worst answer of them stands for it.
    sides: Iterable[Side] = sorted(
        (Side(claim, verdicts[claim.id]) for claim in record.claims),
        key=lambda side: _RANK[side.verdict.outcome],
        reverse=True,
    )
    return {name(side.claim): side for side in sides}


_RANK = {Outcome.REFUTED: 0, Outcome.UNVERIFIED: 1, Outcome.CONFIRMED: 2}


def _of_new(side: Side | None) -> Direction:
    refuted = side is not None and side.verdict.outcome is Outcome.REFUTED
    return Direction.WORSE if refuted else Direction.NEW


def _change(before: Side | None, after: Side | None) -> Change | None:
    if before is None:
        return Change(_of_new(after), after, None, after) if after else None
    if after is None:
        return Change(Direction.GONE, before, before, None)
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
    return Change(direction, after, before, after)
