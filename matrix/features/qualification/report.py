"""A decision as text for a terminal, and a sign-off as an HTML page. Pure.

The text names the failures, their place in the documents, and the commands that remedy them. The
page is a single file in which everything is escaped.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence

from jinja2 import Environment, StrictUndefined

from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import (
    ClaimFate,
    GateDecision,
    JudgedClaim,
    evidence_cells,
    oldest_evidence,
    valid_until,
)
from matrix.features.qualification.policy import Policy
from matrix.features.qualification.shortfall import NAMED, Shortfall
from matrix.features.qualification.signatures import Signer
from matrix.features.qualification.statement import Digest, StatementSubject, result_of
from matrix.model.claim import Claim
from matrix.probes.places import shapes_of
from matrix.reporting.html import harmless_html
from matrix.reporting.text import count_text, load_reasons, promise_text, shorten
from matrix.runs.record import Record
from matrix.system.paths import data_dir

_MAX_SHORTFALLS = 3
_MAX_DETAIL = 400
_REMEDIES = {
    "absent": "run it: {run}",
    "stale": "run it again: {run}",
    "too few": "run it as often as the policy requires: {run}",
    "no control": "run it again, with its controls: {run}",
    "another artifact": "run the cell with the release's own file: {run}",
    "another document": "run it for the current page: {run}",
    "refuted": "reproduce it: {repeat}",
}


@dataclasses.dataclass(frozen=True)
class Commands:
    """`run` is the command that runs what is missing; `repeat` repeats a cell in place of CELL.

    `bare` runs its app without the tracer, "" where nothing does.
    """

    run: str
    repeat: str
    bare: str = ""

    def remedy(self, shortfall: Shortfall) -> str:
        """Return the remedy of a shortfall."""
        repeat = self.repeat.replace("CELL", shortfall.cell or "CELL")
        if shortfall.kind in NAMED:
            bare = self.bare.replace("CELL", shortfall.cell or "CELL")
            without = f"; without the tracer: {bare}" if bare else ""
            return f"reproduce it: {repeat}{without}"
        if shortfall.reason is not None:
            remedy = load_reasons()[shortfall.reason].remedy_for(shortfall.cell)
            return f"{remedy} Reproduce it: {repeat}" if shortfall.cell else remedy
        template = _REMEDIES.get(shortfall.kind)
        if template is None:
            return f"reproduce it: {repeat}" if shortfall.cell else self.run
        return template.format(run=self.run, repeat=repeat)


def headline(decision: GateDecision, ddtrace: str) -> str:
    """Return the decision in one line."""
    counts = ", ".join(f"{len(decision.with_fate(fate))} {fate.value}" for fate in ClaimFate)
    verdict = "qualifies" if decision.passed else "does not qualify"
    passed = decision.with_fate(ClaimFate.PASSED)
    note = "" if passed else "; a release without any passed claim does not qualify"
    required = count_text(len(decision.judged), "required claim")
    named = "".join(
        f"; {name} in {count_text(count, 'claim')}" for name, count in decision.named.items()
    )
    return f"ddtrace {ddtrace} {verdict}: {counts} of {required}{named}{note}"


def report_lines(
    decision: GateDecision, claims: dict[str, Claim], policy: Policy, commands: Commands
) -> Iterator[str]:
    """Yield the lines of the whole result; `claims` are the required ones, by id."""
    failed = decision.with_fate(ClaimFate.FAILED)
    waived = decision.with_fate(ClaimFate.WAIVED)
    if failed:
        yield "failed"
        for judged in failed:
            yield from _failed_claim(judged, claims, commands)
        yield ""
    if waived:
        yield "waived"
        for judged in waived:
            yield from _waived_claim(judged, claims)
        yield ""
    for waiver in decision.idle:
        yield f"unused waiver, can be removed: {', '.join(waiver.claims)} (by {waiver.by})"
    counts = Counter(
        kind for judged in failed for kind in dict.fromkeys(one.kind for one in judged.shortfalls)
    )
    if counts:
        words = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
        yield f"shortfalls   {words}"
    targets = ", ".join(policy.targets) or "all that are promised"
    age, repeats = count_text(policy.max_age.days, "day"), count_text(policy.repeats, "repeat")
    yield f"required     targets {targets}; evidence of at most {age}; {repeats}"


def _failed_claim(
    judged: JudgedClaim, claims: dict[str, Claim], commands: Commands
) -> Iterator[str]:
    yield _claim_line(judged, claims)
    yield f"  {judged.claim.id}"
    for shortfall in judged.shortfalls[:_MAX_SHORTFALLS]:
        yield f"  {_shortfall_text(shortfall)}"
        yield f"    {commands.remedy(shortfall)}"
    if len(judged.shortfalls) > _MAX_SHORTFALLS:
        yield f"  and {len(judged.shortfalls) - _MAX_SHORTFALLS} more"


def _waived_claim(judged: JudgedClaim, claims: dict[str, Claim]) -> Iterator[str]:
    assert judged.waiver is not None  # noqa: S101 - true for every waived claim
    yield _claim_line(judged, claims)
    yield f"  by {judged.waiver.by} until {judged.waiver.until}: {judged.waiver.why}"
    for shortfall in judged.shortfalls[:_MAX_SHORTFALLS]:
        yield f"  {_shortfall_text(shortfall)}"


def _claim_line(judged: JudgedClaim, claims: dict[str, Claim]) -> str:
    claim = claims.get(judged.claim.id)
    text = promise_text(claim) if claim else judged.claim.id
    return f"- {judged.claim.document}:{judged.claim.line}: {text}"


def _shortfall_text(shortfall: Shortfall) -> str:
    cell = f" in {shortfall.cell}" if shortfall.cell else ""
    return f"{shortfall.kind}{cell}: {shorten(shortfall.detail, _MAX_DETAIL)}"


def render_page(  # noqa: PLR0913 - everything that the sign-off rests on
    decision: GateDecision,
    *,
    expected: ExpectedRelease,
    record: Record,
    policy: Policy,
    about: StatementSubject,
    subjects: Sequence[Digest],
    signer: Signer,
) -> bytes:
    """Return the page as HTML."""
    environment = Environment(
        autoescape=True,
        finalize=harmless_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.from_string(
        (data_dir() / "page" / "signoff.html").read_text(encoding="utf-8")
    )
    claims = record.claim_by_id
    digests = {subject.value for subject in subjects}
    text = template.render(
        about=about,
        result=result_of(decision),
        passed=decision.with_fate(ClaimFate.PASSED),
        waived=decision.with_fate(ClaimFate.WAIVED),
        idle=decision.idle,
        promise=lambda claim_id: promise_text(claims[claim_id]) if claim_id in claims else claim_id,
        policy=policy,
        subjects=sorted(subjects),
        unvouched=[file for file in expected.artifacts if file.sha256 not in digests],
        documents=sorted(
            {(judged.claim.document, judged.claim.sha256) for judged in decision.judged}
        ),
        environments=_environments(decision, record, policy),
        oldest=oldest_evidence(decision, record, policy),
        until=valid_until(decision, record, policy),
        signed=signer,
    )
    return text.encode()


def _environments(
    decision: GateDecision, record: Record, policy: Policy
) -> list[tuple[str, str, str, int]]:
    """Return the environments of the passing claims: engine, CPython, target, number of cells."""
    counts: Counter[tuple[str, str, str]] = Counter()
    for line in evidence_cells(decision, record, policy):
        where = line.where
        engine = "not known" if where is None else where.engine or "a machine"
        image = f", image {where.image[:19]}…" if where and where.image else ""
        python = where.python if where else line.cell.python
        free = ", ".join(where.not_isolated) if where else ""
        reached = f", not kept from {free}" if free else ""
        shape = "".join(f", {words}" for words in shapes_of([line.cell]))
        counts[f"{engine}{image}{shape}{reached}", python, line.cell.target] += 1
    return [(*key, count) for key, count in sorted(counts.items())]
