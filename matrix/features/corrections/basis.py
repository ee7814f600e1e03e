"""The verdicts that corrections rest on, and the verdicts on the changed documents."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from matrix.errors import UnreadableInputError, did_you_mean
from matrix.features.corrections.page import PageText
from matrix.features.corrections.suggest import Suggestion, reread
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.claim import Claim
from matrix.model.plan import StaticEvidence
from matrix.model.verdict import Finding, Outcome, Verdict
from matrix.planning.existence import Unsatisfiable
from matrix.planning.locations import select_targets
from matrix.planning.planner import make_plan
from matrix.pypi.index import Index
from matrix.runs.record import Record
from matrix.runs.record_reader import read_record


@dataclasses.dataclass(frozen=True)
class CorrectionBasis:
    """The verdicts by claim id and the findings that corrections rest on, and the plan's inputs.

    `source` names it in reports. `contained` are the findings of cells that ran in containers, the
    only ones that claims about containers are judged by. `missing` are documents that it has no
    claims of, such as those that a selection left out.
    """

    verdicts: Mapping[str, Verdict]
    findings: tuple[Finding, ...]
    source: str
    profile: str
    targets: tuple[str, ...]
    obstacles: Mapping[str, Unsatisfiable] = dataclasses.field(default_factory=dict)
    contained: tuple[Finding, ...] = ()
    missing: tuple[str, ...] = ()


def contained_findings(record: Record) -> tuple[Finding, ...]:
    """Return the findings of cells that ran in containers."""
    return tuple(finding for cell in record.cells if cell.contained for finding in cell.findings)


def read_verdicts(path: Path, pages: Iterable[PageText]) -> CorrectionBasis:
    """Return the verdicts that `verify --json` wrote on documents that have not changed since.

    Raises `UnreadableInputError`, which names the file, where it is not such a file, has another
    schema, or is about other documents or another version of one.
    """
    pages = tuple(pages)
    record = read_record(path)
    digests: dict[str, set[str]] = defaultdict(set)
    for claim in record.claims:
        digests[claim.document].add(claim.sha256)
    _check(path, digests, pages)
    return CorrectionBasis(
        record.verdict_by_claim,
        tuple(finding for cell in record.cells for finding in cell.findings),
        path.name,
        record.run.profile,
        record.run.targets,
        contained=contained_findings(record),
        missing=tuple(page.name for page in pages if page.name not in digests),
    )


def _check(path: Path, digests: Mapping[str, set[str]], pages: Sequence[PageText]) -> None:
    problems = []
    covered = [page for page in pages if page.name in digests]
    for page in covered:
        digest = page.claims[0].sha256
        if digest not in digests[page.name]:
            recorded = ", ".join(sorted(other[:12] for other in digests[page.name]))
            problems.append(
                f"it is about another version of {page.name} (sha256 {recorded}..., {page.path}"
                f" now has {digest[:12]}...)"
            )
    if pages and not covered:
        names = ", ".join(page.name for page in pages)
        problems.append(f"it has no claims of {names}{did_you_mean(pages[0].name, digests)}")
    if problems:
        raise UnreadableInputError(
            f"{path} does not match the documents: {'; '.join(problems)}",
            "Verify these documents again: python -m matrix verify DOCUMENT... --json FILE",
        )


def changed_claims(suggestions: Iterable[Suggestion]) -> tuple[Claim, ...]:
    """Return the claims of the changed documents."""
    return tuple(
        claim
        for suggestion in suggestions
        for claim in (
            reread(suggestion.page, suggestion.data).claims
            if suggestion.changes
            else suggestion.page.claims
        )
    )


def still_refuted(
    claims: Sequence[Claim],
    index: Index,
    basis: CorrectionBasis,
    *,
    as_of: dt.date | None,
    static: Callable[[Iterable[Claim], Index], Mapping[str, StaticEvidence]],
) -> tuple[Verdict, ...]:
    """Return the refuted verdicts of a new plan for the claims, by the findings so far."""
    table = FindingTable(basis.findings)
    for finding in basis.contained:
        table.add(finding, contained=True)
    plan = make_plan(
        claims,
        index,
        profile=basis.profile,
        as_of=as_of,
        targets=basis.targets,
        obstacles=basis.obstacles,
        deployments=select_targets(basis.targets, contained=bool(basis.contained)).deployments,
    )
    evidence = tuple(static(claims, index).values())
    verdicts = judge(dataclasses.replace(plan, static=evidence), table)
    return tuple(verdict for verdict in verdicts if verdict.outcome is Outcome.REFUTED)
