"""The gate: the expectations of a release against a record of results. Pure.

| result of an expected part | counts as |
|---|---|
| the claim has no experiment | missing, with the plan's reason |
| no such part or cell in the record | absent |
| the record is about another version of the page | another document |
| a cell that the answer rests on is older than the policy allows | stale |
| its cell had no artifact of the release | another artifact |
| confirmed less often than the policy requires, by its findings | too few |
| confirmed by showing nothing, and none of its cells shows it | no control |
| the app works without the tracer and fails under it | breaks-app |
| processes die by a signal under the feature, and not without | crashes |
| it ran in what stands in for a deployment, and the policy does not name it | shape |
| any other answer but confirmed | refuted, or unverified with its reason |
| confirmed, present, recent enough, often enough | passed |

A claim passes where all of its parts pass, each required target has one (where the claim is about
it), and the verdict on the whole claim is confirmed. A failure that a waiver covers is reported as
waived, never as passed. A decision holds until its evidence grows old or a waiver expires.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.features.qualification.expected import (
    ExpectedClaim,
    ExpectedPart,
    ExpectedRelease,
    installed_artifact,
)
from matrix.features.qualification.policy import Policy, Waiver
from matrix.features.qualification.shortfall import NAMED, Shortfall, not_confirmed
from matrix.model.capture import PARTS
from matrix.model.cell import Cell, matches
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome, PartVerdict, Verdict
from matrix.probes.places import shapes_of
from matrix.runs.record import CellRecord, Record

# The clocks of two machines may differ by this much.
_SKEW = dt.timedelta(minutes=5)


class ClaimFate(str, enum.Enum):
    """The result of a required claim."""

    PASSED = "passed"
    WAIVED = "waived"
    FAILED = "failed"


@dataclasses.dataclass(frozen=True)
class JudgedClaim:
    """A required claim with its fate; `waiver` is set where one covers it."""

    claim: ExpectedClaim
    fate: ClaimFate
    shortfalls: tuple[Shortfall, ...] = ()
    waiver: Waiver | None = None


@dataclasses.dataclass(frozen=True)
class GateDecision:
    """The fates of all required claims; `idle` waivers cover no failure and can be removed."""

    judged: tuple[JudgedClaim, ...]
    idle: tuple[Waiver, ...] = ()

    def with_fate(self, fate: ClaimFate) -> tuple[JudgedClaim, ...]:
        """Return the claims of one fate."""
        return tuple(judged for judged in self.judged if judged.fate is fate)

    @property
    def named(self) -> dict[str, int]:
        """Return by name how many claims fail because the release breaks the app, or crashes it."""
        kinds = (
            {one.kind for one in judged.shortfalls} & NAMED
            for judged in self.with_fate(ClaimFate.FAILED)
        )
        return dict(sorted(Counter(itertools.chain.from_iterable(kinds)).items()))

    @property
    def passed(self) -> bool:
        """Return whether the release qualifies: some claim passed, and none failed."""
        return bool(self.with_fate(ClaimFate.PASSED)) and not self.with_fate(ClaimFate.FAILED)


def decide(
    expected: ExpectedRelease, record: Record, policy: Policy, now: dt.datetime
) -> GateDecision:
    """Return the fate of every claim that the policy requires.

    Raises `UnreadableInputError` with all problems at once: a policy that requires unknown claims,
    and waivers that expired or match nothing.
    """
    gate = _Gate(expected, record, policy, now)
    judged, used = [], set()
    for claim in required_claims(expected, policy, now.date()):
        shortfalls = tuple(dict.fromkeys(gate.shortfalls(claim)))
        waiver = next((one for one in policy.waivers if _matches(claim.id, one.claims)), None)
        if not shortfalls:
            judged.append(JudgedClaim(claim, ClaimFate.PASSED))
        elif waiver is not None:
            used.add(waiver)
            judged.append(JudgedClaim(claim, ClaimFate.WAIVED, shortfalls, waiver))
        else:
            judged.append(JudgedClaim(claim, ClaimFate.FAILED, shortfalls))
    idle = tuple(waiver for waiver in policy.waivers if waiver not in used)
    return GateDecision(tuple(judged), idle)


def required_claims(
    expected: ExpectedRelease, policy: Policy, today: dt.date
) -> tuple[ExpectedClaim, ...]:
    """Return the claims that the policy requires; raise `UnreadableInputError` as `decide` does."""
    required = tuple(claim for claim in expected.claims if _is_required(claim, policy))
    _check_policy(policy, expected, required, today)
    return required


def evidence_cells(
    decision: GateDecision, record: Record, policy: Policy
) -> tuple[CellRecord, ...]:
    """Return the cells that the answers to the passing claims rest on."""
    cells = {
        cell
        for judged in decision.with_fate(ClaimFate.PASSED)
        for cell in _cells(judged, record, policy)
    }
    return tuple(line for line in record.cells if line.cell in cells)


def reached_parts(decision: GateDecision, record: Record, policy: Policy) -> tuple[str, ...]:
    """Return the parts of the machine that these cells could reach, in the order of `PARTS`."""
    reached = {
        part
        for line in evidence_cells(decision, record, policy)
        if line.where
        for part in line.where.not_isolated
    }
    return tuple(part for part in PARTS if part in reached)


def missing_isolation(decision: GateDecision, record: Record, policy: Policy) -> tuple[str, ...]:
    """Return the parts of the machine that these cells could reach against the policy."""
    reached = reached_parts(decision, record, policy)
    return tuple(part for part in reached if part not in policy.not_isolated)


def oldest_evidence(decision: GateDecision, record: Record, policy: Policy) -> dt.datetime | None:
    """Return the start time of the oldest of these cells."""
    times = (_started_at(line) for line in evidence_cells(decision, record, policy))
    return min((time for time in times if time is not None), default=None)


def valid_until(decision: GateDecision, record: Record, policy: Policy) -> dt.datetime:
    """Return the last moment at which this record passes the gate."""
    ends = [
        dt.datetime.combine(waiver.until, dt.time.max, tzinfo=dt.timezone.utc)
        for waiver in policy.waivers
    ]
    oldest = oldest_evidence(decision, record, policy)
    if oldest is not None:
        ends.append(oldest + policy.max_age)
    return min(ends)


def is_required_target(cell: Cell, policy: Policy) -> bool:
    """Return whether a cell is on a target that the policy requires."""
    return not policy.targets or _matches(cell.target, policy.targets)


def _cells(judged: JudgedClaim, record: Record, policy: Policy) -> Iterator[Cell]:
    required = {part.cell for part in judged.claim.parts if is_required_target(part.cell, policy)}
    for part in record.verdict_by_claim[judged.claim.id].parts:
        if part.cells[0] in required:
            yield from part.cells


def _is_required(claim: ExpectedClaim, policy: Policy) -> bool:
    selected = _matches(claim.id, policy.claims) and not _matches(claim.id, policy.not_claims)
    return selected and (
        not policy.targets or any(_matches(target, policy.targets) for target in claim.targets)
    )


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(matches(glob, [name]) for glob in globs)


def _check_policy(
    policy: Policy, expected: ExpectedRelease, required: Sequence[ExpectedClaim], today: dt.date
) -> None:
    ids = [claim.id for claim in expected.claims]
    required_ids = [claim.id for claim in required]
    problems = [
        f"require: {glob!r} matches no claim{did_you_mean(glob, ids)}"
        for glob in (*policy.claims, *policy.not_claims)
        if not matches(glob, ids)
    ]
    for waiver in policy.waivers:
        if waiver.until < today:
            claims = ", ".join(waiver.claims)
            problems.append(f"the waiver of {claims} expired on {waiver.until} (by {waiver.by})")
        problems += [
            f"a waiver's {glob!r} matches no required claim{did_you_mean(glob, ids)}"
            for glob in waiver.claims
            if not matches(glob, required_ids)
        ]
    if not required and not problems:
        problems.append("nothing is required: a gate without required claims passes nothing")
    if problems:
        raise UnreadableInputError(
            "\n".join(["the policy does not fit the claims:", *(f"  {line}" for line in problems)]),
            "List the claims and their ids with: python -m matrix claims",
        )


@dataclasses.dataclass(frozen=True)
class _Gate:
    expected: ExpectedRelease
    record: Record
    policy: Policy
    now: dt.datetime

    def shortfalls(self, claim: ExpectedClaim) -> Iterator[Shortfall]:
        parts = [part for part in claim.parts if is_required_target(part.cell, self.policy)]
        for reason, subject in claim.left_out:
            yield Shortfall("missing", f"{subject}: {reason}", reason=Reason(reason))
        verdict = self.record.verdict_by_claim.get(claim.id)
        recorded = self.record.claim_by_id.get(claim.id)
        if verdict is None or recorded is None:
            if not claim.left_out:
                yield Shortfall("absent", "the record has no such claim")
            return
        if (recorded.document, recorded.sha256) != (claim.document, claim.sha256):
            detail = f"the record is about sha256 {recorded.sha256[:12]}…"
            yield Shortfall("another document", detail)
        if not claim.left_out:
            yield from self._missing_targets(claim, parts)
        yield from self._part_shortfalls(parts, verdict)

    def _missing_targets(
        self, claim: ExpectedClaim, parts: Sequence[ExpectedPart]
    ) -> Iterator[Shortfall]:
        """Yield the required targets that the claim is about and no part is on."""
        targets = [part.cell.target for part in parts]
        for glob in self.policy.targets:
            if matches(glob, claim.targets) and not matches(glob, targets):
                yield Shortfall("missing", f"no experiment on {glob}")
        if not parts and not self.policy.targets:
            yield Shortfall("missing", "no experiment at all")

    def _part_shortfalls(
        self, parts: Sequence[ExpectedPart], verdict: Verdict
    ) -> Iterator[Shortfall]:
        answers: dict[tuple[str, str, Cell], list[PartVerdict]] = {}
        for answer in verdict.parts:
            key = answer.probe, answer.channel, answer.cells[0]
            answers.setdefault(key, []).append(answer)
        for part in parts:
            of_part = answers.pop((part.probe, part.channel, part.cell), [])
            line = self.record.cell_records.get(part.cell)
            if not of_part or line is None:
                detail = f"{part.probe}/{part.channel} was not judged"
                yield Shortfall("absent", detail, part.cell.id)
            else:
                for answer in of_part:
                    yield from self._answer_shortfalls(part, answer, line)
        # Unexpected parts of the record count as well: they are about the same claim.
        for answer in (answer for of_part in answers.values() for answer in of_part):
            cell = answer.cells[0]
            if is_required_target(cell, self.policy) and answer.outcome is not Outcome.CONFIRMED:
                yield not_confirmed(answer, cell.id)
        outcomes = {answer.outcome for answer in verdict.parts}
        # The package index may refute a claim whose parts are confirmed or unverified.
        if (verdict.outcome is Outcome.REFUTED and verdict.outcome not in outcomes) or (
            verdict.outcome is Outcome.UNVERIFIED and outcomes <= {Outcome.CONFIRMED}
        ):
            yield not_confirmed(verdict)

    def _answer_shortfalls(
        self, part: ExpectedPart, answer: PartVerdict, line: CellRecord
    ) -> Iterator[Shortfall]:
        if answer.outcome is not Outcome.CONFIRMED:
            yield not_confirmed(answer, part.cell.id)
            return
        for cell in dict.fromkeys(answer.cells):
            evidence = self.record.cell_records.get(cell)
            if evidence is None:
                yield Shortfall("absent", "the answer rests on it", cell.id)
            else:
                yield from self._age_shortfalls(evidence)
        for shape in shapes_of(c for c in answer.cells if c.place not in self.policy.places):
            yield Shortfall("shape", shape, part.cell.id)
        if installed_artifact(line, self.expected.artifacts) is None:
            detail = f"it had no known file of ddtrace {self.expected.ddtrace}"
            yield Shortfall("another artifact", detail, part.cell.id)
        count = _confirmations(part, line)
        if count < self.policy.repeats:
            detail = f"confirmed {count} of {self.policy.repeats} times"
            yield Shortfall("too few", detail, part.cell.id)
        if part.expects_absent and not self._has_control(part, answer):
            yield Shortfall("no control", f"none of its cells shows {part.probe}", part.cell.id)

    def _has_control(self, part: ExpectedPart, answer: PartVerdict) -> bool:
        """Return whether a cell shows the probe: one that never does proves no absence."""
        lines = (self.record.cell_records.get(cell) for cell in answer.cells)
        return any(
            finding.probe == part.probe and finding.shows is Observed.PRESENT
            for line in lines
            if line is not None
            for finding in line.findings
        )

    def _age_shortfalls(self, line: CellRecord) -> Iterator[Shortfall]:
        started = _started_at(line)
        if started is None:
            yield Shortfall("stale", "its start time is not known", line.id)
        elif self.now - started > self.policy.max_age:
            yield Shortfall("stale", f"run {(self.now - started).days} days ago", line.id)
        elif started - self.now > _SKEW:
            yield Shortfall("stale", f"run at {line.started}, in the future", line.id)


def _started_at(line: CellRecord) -> dt.datetime | None:
    """Return the start time of a cell, None where it or its time zone is not known."""
    try:
        started = dt.datetime.fromisoformat(line.started)
    except ValueError:
        return None
    return started if started.tzinfo is not None else None


def _confirmations(part: ExpectedPart, line: CellRecord) -> int:
    """Return how often the cell confirmed the part, 0 where any repeat showed the opposite."""
    required, opposite = Observed.PRESENT, Observed.ABSENT
    if part.expects_absent:
        required, opposite = opposite, required
    for finding in line.findings:
        if finding.reason is not None:
            continue  # What does not show because the app is broken confirms no absence.
        if (finding.probe, finding.channel, finding.shows) == (part.probe, part.channel, required):
            counts = dict[str, int](finding.repeats)
            return 0 if counts.get(opposite.value) else counts.get(required.value, 0)
    return 0
