"""A decision for whoever has to act on it: what failed, where it stands, what to do. Pure.

The sign-off as a page for people: one file, everything in it, everything escaped.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from jinja2 import Environment, StrictUndefined

from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import (
    ClaimFate,
    GateDecision,
    JudgedClaim,
    Shortfall,
    evidence_of,
    lasts_until,
    oldest,
)
from matrix.features.qualification.policy import Policy
from matrix.features.qualification.statement import Digest, StatementSubject, result_of
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.reporting.evidence_text import plain
from matrix.reporting.text import load_reasons, many, promise, shorten
from matrix.runs.record import Record
from matrix.system.paths import data_dir

__all__ = ["Commands", "SignatureInfo", "head", "page_of", "tell"]

_MOST = 3
_EVIDENCE = 400
_REMEDIES = {
    "absent": "it was not run: {run}",
    "stale": "run it again: {run}",
    "too few": "run it as often as the policy asks: {run}",
    "no control": "run it again, with what it is compared with: {run}",
    "another artifact": "run the cell with the release's own file: {run}",
    "another document": "run it of the page as it is now: {run}",
    "refuted": "repeat it: {repeat}",
}


@dataclasses.dataclass(frozen=True)
class Commands:
    """`run` is the command that runs what is missing; `repeat` repeats a cell in place of CELL."""

    run: str
    repeat: str

    def remedy(self, shortfall: Shortfall) -> str:
        """Return what to do about a shortfall."""
        repeat = self.repeat.replace("CELL", shortfall.cell or "CELL")
        if shortfall.reason is not None:
            remedy = load_reasons()[shortfall.reason].remedy_for(shortfall.cell)
            return f"{remedy} Repeat it: {repeat}" if shortfall.cell else remedy
        told = _REMEDIES.get(shortfall.what)
        if told is None:
            return f"repeat it: {repeat}" if shortfall.cell else self.run
        return told.format(run=self.run, repeat=repeat)


def head(decision: GateDecision, ddtrace: str) -> str:
    """Return the answer in a line."""
    counts = ", ".join(f"{len(decision.of(fate))} {fate.value}" for fate in ClaimFate)
    verdict = "qualifies" if decision.passed else "does not qualify"
    nothing = "" if decision.of(ClaimFate.PASSED) else "; where nothing passes nothing qualifies"
    required = many(len(decision.judged), "required claim")
    return f"ddtrace {ddtrace} {verdict}: {counts} of {required}{nothing}"


def tell(
    decision: GateDecision, claims: dict[str, Claim], policy: Policy, commands: Commands
) -> Iterator[str]:
    """Yield the lines of the whole result; `claims` are those that are required, by id."""
    failed, waived = decision.of(ClaimFate.FAILED), decision.of(ClaimFate.WAIVED)
    if failed:
        yield "failed"
        for each in failed:
            yield from _judged(each, claims, commands)
        yield ""
    if waived:
        yield "waived"
        for each in waived:
            yield from _waived(each, claims)
        yield ""
    for waiver in decision.idle:
        yield f"an idle waiver, which can go: {', '.join(waiver.claims)} (by {waiver.by})"
    counts = _by_what(failed)
    if counts:
        words = ", ".join(f"{what} {count}" for what, count in counts.items())
        yield f"fell short   {words}"
    targets = ", ".join(policy.targets) or "all that are promised"
    age, repeats = many(policy.max_age.days, "day"), many(policy.repeats, "repeat")
    yield f"asked for    targets {targets}; evidence of at most {age}; {repeats}"


def _judged(each: JudgedClaim, claims: dict[str, Claim], commands: Commands) -> Iterator[str]:
    yield f"- {_where(each)}: {_promise(each, claims)}"
    yield f"  {each.claim.id}"
    for shortfall in each.shortfalls[:_MOST]:
        yield f"  {_said(shortfall)}"
        yield f"    {commands.remedy(shortfall)}"
    if len(each.shortfalls) > _MOST:
        yield f"  and {len(each.shortfalls) - _MOST} more like these"


def _waived(each: JudgedClaim, claims: dict[str, Claim]) -> Iterator[str]:
    assert each.waiver is not None  # noqa: S101 - that is what makes it waived
    yield f"- {_where(each)}: {_promise(each, claims)}"
    yield f"  by {each.waiver.by} until {each.waiver.until}: {each.waiver.why}"
    for shortfall in each.shortfalls[:_MOST]:
        yield f"  {_said(shortfall)}"


def _where(each: JudgedClaim) -> str:
    return f"{each.claim.document}:{each.claim.line}"


def _promise(each: JudgedClaim, claims: dict[str, Claim]) -> str:
    claim = claims.get(each.claim.id)
    return promise(claim) if claim else each.claim.id


def _said(shortfall: Shortfall) -> str:
    where = f" in {shortfall.cell}" if shortfall.cell else ""
    return f"{shortfall.what}{where}: {shorten(plain(shortfall.detail), _EVIDENCE)}"


def _by_what(judged: Iterable[JudgedClaim]) -> Mapping[str, int]:
    """Return how many claims fall short in which way, the most frequent first."""
    counts: dict[str, int] = {}
    for each in judged:
        for what in dict.fromkeys(one.what for one in each.shortfalls):
            counts[what] = counts.get(what, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


@dataclasses.dataclass(frozen=True)
class SignatureInfo:
    """How it is signed: `by` (the key's id, or whoever the certificate names), and how to check."""

    by: str
    check: str


def page_of(  # noqa: PLR0913 - all that the sign-off rests on
    decision: GateDecision,
    *,
    expected: ExpectedRelease,
    record: Record,
    policy: Policy,
    about: StatementSubject,
    subjects: Sequence[Digest],
    signed: SignatureInfo,
) -> bytes:
    """Return the page as HTML."""
    template = _environment().from_string(
        (data_dir() / "page" / "signoff.html").read_text(encoding="utf-8")
    )
    claims = record.claim_by_id
    text = template.render(
        about=about,
        result=result_of(decision),
        passed=decision.of(ClaimFate.PASSED),
        waived=decision.of(ClaimFate.WAIVED),
        idle=decision.idle,
        promise=lambda claim_id: promise(claims[claim_id]) if claim_id in claims else claim_id,
        policy=policy,
        subjects=sorted(subjects),
        unvouched=[each for each in expected.artifacts if each.sha256 not in _digests(subjects)],
        documents=sorted({(each.claim.document, each.claim.sha256) for each in decision.judged}),
        environments=_environments(decision, record, policy),
        oldest=oldest(decision, record, policy),
        until=lasts_until(decision, record, policy),
        signed=signed,
    )
    return text.encode()


def _digests(subjects: Sequence[Digest]) -> set[str]:
    return {each.value for each in subjects}


def _environments(
    decision: GateDecision, record: Record, policy: Policy
) -> list[tuple[str, str, str, int]]:
    """Return the environments that the passing claims rest on: where, CPython, target, cells."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in evidence_of(decision, record, policy):
        cell = Cell.parse(line.id)
        place = "not known" if line.where is None else line.where.engine or "a machine"
        python = line.where.python if line.where else cell.python
        image = f", image {line.where.image[:19]}…" if line.where and line.where.image else ""
        counts[f"{place}{image}", python, cell.target] += 1
    return [(*key, count) for key, count in sorted(counts.items())]


def _environment() -> Environment:
    return Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
