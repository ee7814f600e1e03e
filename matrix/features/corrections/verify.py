"""What would be found if the changed documents were verified again, on what was seen so far."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence

from matrix.features.corrections.suggest import Suggestion, read_again
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.claim import Claim
from matrix.model.plan import StaticEvidence
from matrix.model.verdict import Finding, Outcome, Verdict
from matrix.planning.existence import Unsatisfiable
from matrix.planning.locations import among
from matrix.planning.planner import make_plan
from matrix.pypi.index import Index

__all__ = ["changed_claims", "judge_again"]


def changed_claims(suggestions: Iterable[Suggestion]) -> tuple[Claim, ...]:
    """Return what the documents promise once they are changed."""
    return tuple(
        claim
        for suggestion in suggestions
        for claim in (
            read_again(suggestion.paper, suggestion.data).claims
            if suggestion.changes
            else suggestion.paper.claims
        )
    )


def judge_again(  # noqa: PLR0913 - what a plan depends on, and what was seen
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
    """Return the verdicts that are refuted, of a new plan for the claims.

    `contained` are findings of containers: promises about those are judged by nothing else.
    """
    seen = FindingTable(findings)
    inside = tuple(contained)
    for finding in inside:
        seen.add(finding, contained=True)
    plan = make_plan(
        claims,
        index,
        profile=profile,
        as_of=as_of,
        targets=targets,
        obstacles=obstacles,
        deployments=among(targets, contained=bool(inside)).deployments,
    )
    known = static(claims, index)
    verdicts = judge(dataclasses.replace(plan, static=tuple(known.values())), seen)
    return tuple(one for one in verdicts if one.outcome is Outcome.REFUTED)
