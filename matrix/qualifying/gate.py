"""The gate: what the plan expects, against what was recorded. Pure.

| what is found for an expected part | it counts as |
|---|---|
| the claim has no experiment | missing, with the plan's reason |
| no such part or cell in the record | absent |
| the cell is older than the policy allows | stale |
| it held less often than the policy asks | too few |
| any answer but confirmed | refuted, or unverified with its reason |
| confirmed, there, new enough, often enough | passed |

A claim passes where all of its parts pass. What a waiver covers is told as waived, never as passed.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from matrix.errors import UnreadableInputError, nearest
from matrix.model.cell import Cell
from matrix.model.verdict import Outcome, PartVerdict, Shows, Verdict
from matrix.qualifying.expected import Expected, ExpectedClaim, ExpectedPart
from matrix.qualifying.policy import Policy, Waiver
from matrix.records import CellLine, Record

__all__ = ["Decision", "Fate", "Judged", "Shortfall", "decide"]


class Fate(str, enum.Enum):
    """What became of a required claim."""

    PASSED = "passed"
    WAIVED = "waived"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Shortfall:
    """Why a claim does not pass: `what` is one word of the table above, `cell` "" without one."""

    what: str
    detail: str
    cell: str = ""


@dataclasses.dataclass(frozen=True)
class Judged:
    """A required claim with what became of it; `waiver` is set where one covers it."""

    claim: ExpectedClaim
    fate: Fate
    shortfalls: tuple[Shortfall, ...] = ()
    waiver: Waiver | None = None


@dataclasses.dataclass(frozen=True)
class Decision:
    """All required claims; `idle` waivers cover nothing that fails: they can go."""

    judged: tuple[Judged, ...]
    idle: tuple[Waiver, ...] = ()

    def of(self, fate: Fate) -> tuple[Judged, ...]:
        """Return the claims of one fate."""
        return tuple(each for each in self.judged if each.fate is fate)

    @property
    def passed(self) -> bool:
        """Return whether the release qualifies: something passed, and nothing failed."""
        return bool(self.of(Fate.PASSED)) and not self.of(Fate.FAILED)


def decide(expected: Expected, record: Record, policy: Policy, now: dt.datetime) -> Decision:
    """Return what became of every claim that the policy requires.

    Raises `UnreadableInputError` for a policy that requires what there is not, and for waivers that
    expired or match nothing, all told at once.
    """
    required = [claim for claim in expected.claims if _is_required(claim.id, policy)]
    _check(policy, expected, required, now.date())
    judged, used = [], set()
    for claim in required:
        shortfalls = tuple(dict.fromkeys(_shortfalls(claim, record, policy, now)))
        waiver = _waiver(claim.id, policy.waivers)
        if not shortfalls:
            judged.append(Judged(claim, Fate.PASSED))
        elif waiver is not None:
            used.add(waiver)
            judged.append(Judged(claim, Fate.WAIVED, shortfalls, waiver))
        else:
            judged.append(Judged(claim, Fate.FAILED, shortfalls))
    idle = tuple(each for each in policy.waivers if each not in used)
    return Decision(tuple(judged), idle)


def _is_required(claim: str, policy: Policy) -> bool:
    return _matches(claim, policy.claims) and not _matches(claim, policy.not_claims)


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _waiver(claim: str, waivers: Iterable[Waiver]) -> Waiver | None:
    return next((each for each in waivers if _matches(claim, each.claims)), None)


def _check(
    policy: Policy, expected: Expected, required: Sequence[ExpectedClaim], today: dt.date
) -> None:
    ids = [claim.id for claim in expected.claims]
    problems = [
        f"require: {glob!r} matches no claim{_near(glob, ids)}"
        for glob in (*policy.claims, *policy.not_claims)
        if not any(fnmatchcase(name, glob) for name in ids)
    ]
    for waiver in policy.waivers:
        called = ", ".join(waiver.claims)
        if waiver.until < today:
            problems.append(f"the waiver of {called} expired on {waiver.until} (by {waiver.by})")
        problems += [
            f"a waiver's {glob!r} matches no required claim{_near(glob, ids)}"
            for glob in waiver.claims
            if not any(fnmatchcase(claim.id, glob) for claim in required)
        ]
    if not required and not problems:
        problems.append("nothing is required: a gate that asks for nothing passes nothing")
    if problems:
        raise UnreadableInputError(
            "\n".join(["the policy does not fit:", *(f"  {each}" for each in problems)]),
            "The claims and their ids: python -m matrix claims",
        )


def _near(glob: str, ids: Sequence[str]) -> str:
    near = nearest(glob, ids)
    return f"; did you mean {near!r}?" if near else ""


def _shortfalls(
    claim: ExpectedClaim, record: Record, policy: Policy, now: dt.datetime
) -> Iterator[Shortfall]:
    parts = [part for part in claim.parts if _on_target(part, policy)]
    for reason, what in claim.left_out:
        yield Shortfall("missing", f"{what}: {reason}")
    if not parts and not claim.left_out:
        yield Shortfall("missing", "no experiment on the targets that are required")
    verdict = record.verdict_by_claim.get(claim.id)
    if verdict is None:
        yield Shortfall("absent", "the record says nothing of it")
        return
    found = {(part.probe, part.channel, part.cells[0]): part for part in verdict.parts}
    for part in parts:
        told = found.get((part.probe, part.channel, part.cell))
        line = record.cell_by_id.get(part.cell)
        if told is None or line is None:
            yield Shortfall("absent", f"{part.probe}/{part.channel} was not judged", part.cell)
        else:
            yield from _of_part(part, told, line, policy, now)
    if parts and all(part.outcome is Outcome.CONFIRMED for part in found.values()):
        yield from _of_claim(verdict)


def _on_target(part: ExpectedPart, policy: Policy) -> bool:
    return not policy.targets or _matches(Cell.parse(part.cell).target, policy.targets)


def _of_claim(verdict: Verdict) -> Iterator[Shortfall]:
    if verdict.outcome is not Outcome.CONFIRMED:
        reason = f" ({verdict.reason.value})" if verdict.reason else ""
        yield Shortfall(verdict.outcome.value + reason, verdict.evidence)


def _of_part(
    part: ExpectedPart, told: PartVerdict, line: CellLine, policy: Policy, now: dt.datetime
) -> Iterator[Shortfall]:
    if told.outcome is not Outcome.CONFIRMED:
        reason = f" ({told.reason.value})" if told.reason else ""
        yield Shortfall(told.outcome.value + reason, told.evidence, part.cell)
        return
    age = now - dt.datetime.fromisoformat(line.started)
    if age > policy.max_age:
        yield Shortfall("stale", f"run {age.days} days ago", part.cell)
    if age < -dt.timedelta(minutes=5):
        yield Shortfall("stale", f"run at {line.started}, which is not yet", part.cell)
    held = _held(part, line)
    if held < policy.repeats:
        yield Shortfall("too few", f"held {held} of {policy.repeats} times", part.cell)


def _held(part: ExpectedPart, line: CellLine) -> int:
    wanted = Shows.ABSENT if part.holds_without else Shows.PRESENT
    for finding in line.findings:
        if (finding.probe, finding.channel, finding.shows) == (part.probe, part.channel, wanted):
            return dict[str, int](finding.repeats).get(wanted.value, 0)
    return 0


def shortfalls_by_what(judged: Iterable[Judged]) -> Mapping[str, int]:
    """Return how many claims fall short in which way, the most frequent first."""
    counts: dict[str, int] = {}
    for each in judged:
        for what in dict.fromkeys(one.what for one in each.shortfalls):
            counts[what] = counts.get(what, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))
