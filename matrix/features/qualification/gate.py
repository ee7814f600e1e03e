"""The gate: what the plan expects, against what was recorded. Pure.

| what is found for an expected part | it counts as |
|---|---|
| the claim has no experiment | missing, with the plan's reason |
| no such part or cell in the record | absent |
| the record is about another version of the page | another document |
| a cell that the answer rests on is older than the policy allows | stale |
| its cell had no artifact of the release | another artifact |
| it held less often than the policy asks, by its findings | too few |
| it holds by showing nothing, and none of its cells shows it | no control |
| any answer but confirmed | refuted, or unverified with its reason |
| confirmed, there, new enough, often enough | passed |

A claim passes where all of its parts pass, each target that is required has one (where the promise
is about it), and the verdict on the whole claim is confirmed. What a waiver covers is told as
waived, never as passed.

Until when a sign-off holds: evidence grows old, and waivers run out. Pure.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterable, Iterator, Sequence

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.features.qualification.artifacts import artifact_of
from matrix.features.qualification.expected import ExpectedClaim, ExpectedPart, ExpectedRelease
from matrix.features.qualification.policy import Policy, Waiver
from matrix.model.cell import Cell
from matrix.model.reason import Reason
from matrix.model.selectors import matches
from matrix.model.verdict import Observed, Outcome, PartVerdict, Verdict
from matrix.runs.record import CellLine, Record

__all__ = [
    "ClaimFate",
    "GateDecision",
    "JudgedClaim",
    "Shortfall",
    "decide",
    "evidence_of",
    "lasts_until",
    "oldest",
    "on_target",
    "required_of",
    "started_at",
]

# Clocks of two machines may differ by this much.
_SKEW = dt.timedelta(minutes=5)


class ClaimFate(str, enum.Enum):
    """What became of a required claim."""

    PASSED = "passed"
    WAIVED = "waived"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class Shortfall:
    """Why a claim does not pass: `what` is one word of the table above, `cell` "" without one.

    `reason` is the typed reason of what is missing or unverified, None where there is none.
    """

    what: str
    detail: str
    cell: str = ""
    reason: Reason | None = None


@dataclasses.dataclass(frozen=True)
class JudgedClaim:
    """A required claim with what became of it; `waiver` is set where one covers it."""

    claim: ExpectedClaim
    fate: ClaimFate
    shortfalls: tuple[Shortfall, ...] = ()
    waiver: Waiver | None = None


@dataclasses.dataclass(frozen=True)
class GateDecision:
    """All required claims; `idle` waivers cover nothing that fails: they can go."""

    judged: tuple[JudgedClaim, ...]
    idle: tuple[Waiver, ...] = ()

    def of(self, fate: ClaimFate) -> tuple[JudgedClaim, ...]:
        """Return the claims of one fate."""
        return tuple(each for each in self.judged if each.fate is fate)

    @property
    def passed(self) -> bool:
        """Return whether the release qualifies: something passed, and nothing failed."""
        return bool(self.of(ClaimFate.PASSED)) and not self.of(ClaimFate.FAILED)


def decide(
    expected: ExpectedRelease, record: Record, policy: Policy, now: dt.datetime
) -> GateDecision:
    """Return what became of every claim that the policy requires.

    Raises `UnreadableInputError` for a policy that requires what there is not, and for waivers that
    expired or match nothing, all told at once.
    """
    required = required_of(expected, policy, now.date())
    judged, used = [], set()
    gate = _Gate(expected, record, policy, now)
    for claim in required:
        shortfalls = tuple(dict.fromkeys(gate.shortfalls(claim)))
        waiver = _waiver(claim.id, policy.waivers)
        if not shortfalls:
            judged.append(JudgedClaim(claim, ClaimFate.PASSED))
        elif waiver is not None:
            used.add(waiver)
            judged.append(JudgedClaim(claim, ClaimFate.WAIVED, shortfalls, waiver))
        else:
            judged.append(JudgedClaim(claim, ClaimFate.FAILED, shortfalls))
    idle = tuple(each for each in policy.waivers if each not in used)
    return GateDecision(tuple(judged), idle)


def required_of(
    expected: ExpectedRelease, policy: Policy, today: dt.date
) -> tuple[ExpectedClaim, ...]:
    """Return the claims that the policy requires; raise `UnreadableInputError` as `decide` does."""
    required = tuple(claim for claim in expected.claims if _is_required(claim, policy))
    _check(policy, expected, required, today)
    return required


def _is_required(claim: ExpectedClaim, policy: Policy) -> bool:
    wanted = _matches(claim.id, policy.claims) and not _matches(claim.id, policy.not_claims)
    return wanted and (
        not policy.targets or any(_matches(each, policy.targets) for each in claim.targets)
    )


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(matches(glob, [name]) for glob in globs)


def _waiver(claim: str, waivers: Iterable[Waiver]) -> Waiver | None:
    return next((each for each in waivers if _matches(claim, each.claims)), None)


def _check(
    policy: Policy, expected: ExpectedRelease, required: Sequence[ExpectedClaim], today: dt.date
) -> None:
    ids = [claim.id for claim in expected.claims]
    problems = [
        f"require: {glob!r} matches no claim{did_you_mean(glob, ids)}"
        for glob in (*policy.claims, *policy.not_claims)
        if not matches(glob, ids)
    ]
    for waiver in policy.waivers:
        called = ", ".join(waiver.claims)
        if waiver.until < today:
            problems.append(f"the waiver of {called} expired on {waiver.until} (by {waiver.by})")
        problems += [
            f"a waiver's {glob!r} matches no required claim{did_you_mean(glob, ids)}"
            for glob in waiver.claims
            if not matches(glob, [claim.id for claim in required])
        ]
    if not required and not problems:
        problems.append("nothing is required: a gate that asks for nothing passes nothing")
    if problems:
        raise UnreadableInputError(
            "\n".join(["the policy does not fit:", *(f"  {each}" for each in problems)]),
            "The claims and their ids: python -m matrix claims",
        )


@dataclasses.dataclass(frozen=True)
class _Gate:
    expected: ExpectedRelease
    record: Record
    policy: Policy
    now: dt.datetime

    def shortfalls(self, claim: ExpectedClaim) -> Iterator[Shortfall]:
        parts = [part for part in claim.parts if on_target(part.cell, self.policy)]
        for reason, what in claim.left_out:
            yield Shortfall("missing", f"{what}: {reason}", reason=Reason(reason))
        verdict = self.record.verdict_by_claim.get(claim.id)
        told = self.record.claim_by_id.get(claim.id)
        if verdict is None or told is None:
            if not claim.left_out:
                yield Shortfall("absent", "the record says nothing of it")
            return
        if (told.document, told.sha256) != (claim.document, claim.sha256):
            yield Shortfall("another document", f"the record is about sha256 {told.sha256[:12]}…")
        if not claim.left_out:
            yield from self._targets(claim, parts)
        yield from self._parts(parts, verdict)

    def _targets(self, claim: ExpectedClaim, parts: Sequence[ExpectedPart]) -> Iterator[Shortfall]:
        """Yield the required targets that nothing is asked on, though the promise is about them."""
        asked = [Cell.parse(part.cell).target for part in parts]
        for glob in self.policy.targets:
            if any(matches(glob, [each]) for each in claim.targets) and not matches(glob, asked):
                yield Shortfall("missing", f"no experiment on {glob}")
        if not parts and not self.policy.targets:
            yield Shortfall("missing", "no experiment at all")

    def _parts(self, parts: Sequence[ExpectedPart], verdict: Verdict) -> Iterator[Shortfall]:
        found: dict[tuple[str, str, str], list[PartVerdict]] = {}
        for told in verdict.parts:
            found.setdefault((told.probe, told.channel, told.cells[0]), []).append(told)
        for part in parts:
            answers = found.pop((part.probe, part.channel, part.cell), [])
            line = self.record.cell_by_id.get(part.cell)
            if not answers or line is None:
                detail = f"{part.probe}/{part.channel} was not judged"
                yield Shortfall("absent", detail, part.cell)
            else:
                for told in answers:
                    yield from self._part(part, told, line)
        # What is recorded beside what is expected counts as well: it is about the same claim.
        for told in (each for answers in found.values() for each in answers):
            if on_target(told.cells[0], self.policy) and told.outcome is not Outcome.CONFIRMED:
                yield _not_confirmed(told, told.cells[0])
        made = {told.outcome for told in verdict.parts}
        # The package index may refute what every part confirms or leaves open.
        if (verdict.outcome is Outcome.REFUTED and verdict.outcome not in made) or (
            verdict.outcome is Outcome.UNVERIFIED and made <= {Outcome.CONFIRMED}
        ):
            yield _not_confirmed(verdict)

    def _part(self, part: ExpectedPart, told: PartVerdict, line: CellLine) -> Iterator[Shortfall]:
        if told.outcome is not Outcome.CONFIRMED:
            yield _not_confirmed(told, part.cell)
            return
        for cell in dict.fromkeys(told.cells):
            rests_on = self.record.cell_by_id.get(cell)
            if rests_on is None:
                yield Shortfall("absent", "the answer rests on it", cell)
            else:
                yield from self._age(rests_on)
        if artifact_of(line, self.expected.artifacts) is None:
            detail = f"it had no file of ddtrace {self.expected.ddtrace} that is known here"
            yield Shortfall("another artifact", detail, part.cell)
        held = _held(part, line)
        if held < self.policy.repeats:
            yield Shortfall("too few", f"held {held} of {self.policy.repeats} times", part.cell)
        if part.holds_without and not self._is_able(part, told):
            yield Shortfall("no control", f"no cell of it shows {part.probe}", part.cell)

    def _is_able(self, part: ExpectedPart, told: PartVerdict) -> bool:
        """Return whether the probe is seen to see: a probe that never does proves no absence."""
        lines = (self.record.cell_by_id.get(cell) for cell in told.cells)
        return any(
            finding.probe == part.probe and finding.shows is Observed.PRESENT
            for line in lines
            if line is not None
            for finding in line.findings
        )

    def _age(self, line: CellLine) -> Iterator[Shortfall]:
        started = started_at(line)
        if started is None:
            yield Shortfall("stale", "it does not say when it was run", line.id)
        elif self.now - started > self.policy.max_age:
            yield Shortfall("stale", f"run {(self.now - started).days} days ago", line.id)
        elif started - self.now > _SKEW:
            yield Shortfall("stale", f"run at {line.started}, which is not yet", line.id)


def on_target(cell: str, policy: Policy) -> bool:
    """Return whether a cell is on a target that the policy requires."""
    return not policy.targets or _matches(Cell.parse(cell).target, policy.targets)


def started_at(line: CellLine) -> dt.datetime | None:
    """Return when a cell was run, None where it does not say, zone and all."""
    try:
        started = dt.datetime.fromisoformat(line.started)
    except ValueError:
        return None
    return started if started.tzinfo is not None else None


def _not_confirmed(told: PartVerdict | Verdict, cell: str = "") -> Shortfall:
    reason = f" ({told.reason.value})" if told.reason else ""
    return Shortfall(told.outcome.value + reason, told.evidence, cell, told.reason)


def _held(part: ExpectedPart, line: CellLine) -> int:
    """Return how often the cell's own finding held, 0 where any repeat showed the opposite."""
    wanted, opposite = Observed.PRESENT, Observed.ABSENT
    if part.holds_without:
        wanted, opposite = opposite, wanted
    for finding in line.findings:
        if (finding.probe, finding.channel, finding.shows) == (part.probe, part.channel, wanted):
            counts = dict[str, int](finding.repeats)
            return 0 if counts.get(opposite.value) else counts.get(wanted.value, 0)
    return 0


def evidence_of(decision: GateDecision, record: Record, policy: Policy) -> tuple[CellLine, ...]:
    """Return the cells that the answers to the passing claims rest on."""
    named = {
        cell for each in decision.of(ClaimFate.PASSED) for cell in _cells(each, record, policy)
    }
    return tuple(line for line in record.cells if line.id in named)


def oldest(decision: GateDecision, record: Record, policy: Policy) -> dt.datetime | None:
    """Return when the oldest of these cells was run."""
    times = (started_at(line) for line in evidence_of(decision, record, policy))
    return min((each for each in times if each is not None), default=None)


def lasts_until(decision: GateDecision, record: Record, policy: Policy) -> dt.datetime:
    """Return the last moment at which this record passes the gate."""
    ends = [
        dt.datetime.combine(waiver.until, dt.time.max, tzinfo=dt.timezone.utc)
        for waiver in policy.waivers
    ]
    first = oldest(decision, record, policy)
    if first is not None:
        ends.append(first + policy.max_age)
    return min(ends)


def _cells(judged: JudgedClaim, record: Record, policy: Policy) -> Iterator[str]:
    asked = {part.cell for part in judged.claim.parts if on_target(part.cell, policy)}
    for part in record.verdict_by_claim[judged.claim.id].parts:
        if part.cells[0] in asked:
            yield from part.cells
