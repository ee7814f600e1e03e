"""Verdicts on the changed documents, from the findings recorded so far."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

from matrix.features.corrections.suggest import Suggestion, reread
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.claim import Claim
from matrix.model.plan import StaticEvidence
from matrix.model.verdict import Finding, Outcome, Verdict
from matrix.planning.existence import Unsatisfiable
from matrix.planning.locations import select_targets
from matrix.planning.planner import make_plan
from matrix.pypi.client import Index


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


def still_refuted(  # noqa: PLR0913 - the inputs of a plan, and the findings
    claims: Sequence[Claim],
    index: Index,
    findings: Iterable[Finding],
    *,
    profile: str,
    as_of: dt.date | None,
    targets: Sequence[str],
    obstacles: Mapping[str, Unsatisfiable],
    static: Callable[[Iterable[Claim], Index], Mapping[str, StaticEvidence]],
    contained: Iterable[Finding] = (),
) -> tuple[Verdict, ...]:
    """Return the refuted verdicts of a new plan for the claims.

    `contained` are findings of containers, the only ones that claims about containers are judged
    by.
    """
    table = FindingTable(findings)
    in_containers = tuple(contained)
    for finding in in_containers:
        table.add(finding, contained=True)
    plan = make_plan(
        claims,
        index,
        profile=profile,
        as_of=as_of,
        targets=targets,
        obstacles=obstacles,
        deployments=select_targets(targets, contained=bool(in_containers)).deployments,
    )
    evidence = tuple(static(claims, index).values())
    verdicts = judge(dataclasses.replace(plan, static=evidence), table)
    return tuple(verdict for verdict in verdicts if verdict.outcome is Outcome.REFUTED)
