"""Minimums that are too high or differ between documents: the one that evidence confirms wins."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from matrix.audit.finding import AuditFinding, FindingKind
from matrix.audit.specifiers import lowest_named
from matrix.model.claim import Claim, ClaimKind
from matrix.model.verdict import Outcome, Tightness
from matrix.suggesting.change import Action, Change, LeftAlone, ground_of
from matrix.suggesting.minimums import dependents, with_minimum
from matrix.suggesting.paper import Case, Paper
from matrix.suggesting.seen import KnownMinimum

__all__ = ["agreeing_minimums", "disagreements", "lowered_minimums"]


def agreeing_minimums(case: Case, findings: Iterable[AuditFinding]) -> Iterator[Change | LeftAlone]:
    """Yield a change for each minimum that is too high where another page has the exact one."""
    by_id = {claim.id: claim for claim in case.claims}
    for finding in findings:
        if finding.kind is not FindingKind.MINIMUM_DIFFERS:
            continue
        claims = [by_id[place.claim] for place in finding.places if place.claim in by_id]
        claims = [claim for claim in claims if claim.kind is ClaimKind.CAPABILITY]
        exact = next((claim for claim in claims if _exact(case, claim)), None)
        least = lowest_named(exact.specifier) if exact else None
        if exact is None or least is None:
            continue
        for claim in claims:
            own = lowest_named(claim.specifier)
            confirmed = case.outcome(claim) is Outcome.CONFIRMED
            if confirmed and own is not None and own > least:
                verdict = case.verdicts[exact.id]
                cells = {cell for part in verdict.parts for cell in part.cells[:2]}
                shown = tuple(one for one in case.seen.findings if one.cell in cells)
                version = exact.specifier.removeprefix(">=")
                known = KnownMinimum(version, exact=True, fails="", findings=shown)
                paper = case.papers[claim.document]
                yield with_minimum(case, paper, claim, [claim, exact], known, action=Action.LOWER)


def lowered_minimums(
    case: Case, paper: Paper, settled: Collection[str]
) -> Iterator[Change | LeftAlone]:
    """Yield a change for each minimum that all earlier releases that were tried undercut.

    A minimum that is too high is not false: this is for who asks for it.
    """
    for claim in dependents(paper):
        verdict = case.verdicts.get(claim.id)
        if (
            claim.id in settled
            or verdict is None
            or verdict.outcome is not Outcome.CONFIRMED
            or verdict.tightness is not Tightness.EARLIER
        ):
            continue
        known = case.seen.minimum(verdict.parts, (), below=lowest_named(claim.specifier))
        if known is not None:
            yield with_minimum(case, paper, claim, [claim], known, action=Action.LOWER)


def disagreements(
    case: Case, findings: Iterable[AuditFinding], settled: Collection[str]
) -> Iterator[LeftAlone]:
    """Yield what documents say differently, and no evidence decides."""
    by_id = {claim.id: claim for claim in case.claims}
    for finding in findings:
        places = [place for place in finding.places if place.claim]
        if finding.kind.value.endswith("-missing") or any(p.claim in settled for p in places):
            continue
        if not places:
            continue
        where = ", ".join(dict.fromkeys(str(place) for place in finding.places))
        known = [by_id[place.claim] for place in places if place.claim in case.verdicts]
        grounds = tuple(
            ground_of(claim, case.verdicts[claim.id])
            for claim in known
            if case.outcome(claim) is not Outcome.UNVERIFIED
        )
        yield LeftAlone(
            places[0].document,
            places[0].line,
            f"{finding.subject}: {finding.says} ({where})",
            f"no evidence decides it; {finding.reason}",
            grounds=grounds,
        )


def _exact(case: Case, claim: Claim) -> bool:
    verdict = case.verdicts.get(claim.id)
    return (
        verdict is not None
        and verdict.outcome is Outcome.CONFIRMED
        and verdict.tightness is Tightness.EXACT
        and claim.specifier.startswith(">=")
        and "," not in claim.specifier
    )
