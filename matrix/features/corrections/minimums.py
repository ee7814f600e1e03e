"""Refuted minimums, and what rests on them: the least release that was seen to work instead.

A framework, a login or a note that fails with the documented minimum of a capability, and works
with a later release, is no false promise by itself: the minimum is.

Minimums that are too high or differ between documents: the one that evidence confirms wins.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from matrix.features.audit.findings import AuditFinding, FindingKind
from matrix.features.audit.versions import contains, lowest_named
from matrix.features.corrections.change import (
    Action,
    ChangeGround,
    DocumentChange,
    UnchangedClaim,
    ground_of,
)
from matrix.features.corrections.observed import KnownMinimum, refuted
from matrix.features.corrections.page import ClaimCase, PageText
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.service import against
from matrix.model.verdict import Outcome, PartVerdict, Tightness
from matrix.planning.coverage import CoverageRule, load_coverage
from matrix.planning.expectations import documented_minimum
from matrix.planning.page import ClaimPage

__all__ = [
    "agreeing_minimums",
    "caveat_of",
    "corrected_minimums",
    "dependents",
    "disagreements",
    "grounds_of",
    "lowered_minimums",
    "with_minimum",
]

_SHOWN = 6


def corrected_minimums(
    case: ClaimCase, paper: PageText
) -> Iterator[DocumentChange | UnchangedClaim]:
    """Yield a change for each capability whose minimum, or what rests on it, is refuted."""
    for claim, depending in dependents(paper).items():
        wrong = case.refuted(depending)
        if not wrong:
            continue
        known = _known(case, claim, wrong, depending)
        if known is not None:
            yield with_minimum(case, paper, claim, wrong, known)
        elif claim in wrong:
            yield UnchangedClaim(
                claim.document,
                claim.line,
                f"the minimum of {claim.subject}, {claim.as_written}",
                "no release was seen in which all that is refuted works",
                refuted=True,
                grounds=tuple(
                    ground_of(one, case.verdicts[one.id])
                    for one in wrong
                    if one is claim or one.kind is ClaimKind.DEPLOYMENT
                ),
            )


def dependents(paper: PageText) -> dict[Claim, list[Claim]]:
    """Return what stands or falls with the minimum of each capability, itself the first."""
    page, coverage = ClaimPage(paper.claims), load_coverage()
    found: dict[Claim, list[Claim]] = {
        claim: [claim] for claim in paper.claims if claim.kind is ClaimKind.CAPABILITY
    }
    for claim in paper.claims:
        rule = coverage.rule(claim)
        if claim in found or not isinstance(rule, CoverageRule) or not _about_capability(claim):
            continue
        minimum = documented_minimum(claim, rule, page)
        if minimum in found:
            found[minimum].append(claim)
    return found


def with_minimum(  # noqa: PLR0913 - a change and what it rests on
    case: ClaimCase,
    paper: PageText,
    claim: Claim,
    wrong: Sequence[Claim],
    known: KnownMinimum,
    *,
    action: Action = Action.MINIMUM,
) -> DocumentChange | UnchangedClaim:
    """Return the change that gives a capability another minimum and leaves the rest of the row."""
    grounds = grounds_of(case, wrong, known)
    old = _least(claim)
    row, new = paper.row(claim.line), known.release
    column = row.laid.position("minimum") if row else None
    specifier = claim.specifier.replace(f">={old}", f">={new}") if old else f">={new}"
    swap, why = None, "the cell says more than one version, or its place in the line cannot be told"
    if row is not None and column is not None and _only_one(paper, claim):
        if claim.status is Status.NOT_SUPPORTED:
            swap = row.swap(column, new)
        elif old:
            swap = row.swap_version(column, old, new)
    if swap is not None and not contains(specifier, new):
        swap, why = None, "the range that the cell promises would begin after its end"
    if swap is None:
        return UnchangedClaim(
            claim.document,
            claim.line,
            f"{claim.subject}: {claim.as_written!r} should be {new}",
            why,
            refuted=action is Action.MINIMUM,
            grounds=grounds,
        )
    status = Status.SUPPORTED if claim.status is Status.NOT_SUPPORTED else claim.status
    come = (claim.kind.value, claim.subject, specifier, status.value, claim.scope)
    return DocumentChange(
        action,
        claim.document,
        claim.line,
        f"the minimum of {claim.subject}: {claim.as_written} \N{RIGHTWARDS ARROW} {new}",
        (swap,),
        (claim.fact,),
        (come,),
        grounds,
        " ".join(part for part in (caveat_of(claim.subject, known), _open(case, wrong)) if part),
    )


def caveat_of(capability: str, known: KnownMinimum) -> str:
    """Return what is not known of a minimum, "" where it is exact."""
    if known.exact:
        return ""
    since = (
        f"{known.fails} does not, and of those between them nothing is known" if known.fails else ""
    )
    return (
        f"An upper bound: it works from at most {known.release}"
        + (f" ({since})" if since else "")
        + f"; `nox -s minimum -- {capability}` finds the exact release."
    )


def _open(case: ClaimCase, wrong: Sequence[Claim]) -> str:
    """Return what of the claims is still open, "" where nothing is."""
    parts = [part for claim in wrong for part in case.verdicts[claim.id].parts]
    unverified = sum(part.outcome is Outcome.UNVERIFIED for part in parts)
    if not unverified:
        return ""
    return (
        f"{unverified} of {len(parts)} parts stay unverified: the new minimum says nothing of them."
    )


def grounds_of(
    case: ClaimCase, wrong: Sequence[Claim], known: KnownMinimum
) -> tuple[ChangeGround, ...]:
    """Return what a new minimum rests on: what is wrong, and what was seen of both releases."""
    first = wrong[0]
    seen = [
        ChangeGround(
            first.id,
            first.document,
            first.line,
            finding.shows.value,
            f"{finding.probe}, {finding.channel}: {finding.evidence}"
            f" {against(finding.back_ends)}".rstrip(),
            (finding.cell,),
        )
        for finding in known.findings[:_SHOWN]
    ]
    verdicts = [ground_of(claim, case.verdicts[claim.id]) for claim in wrong]
    return (*verdicts, *seen)


def _known(
    case: ClaimCase, claim: Claim, wrong: Sequence[Claim], depending: Sequence[Claim]
) -> KnownMinimum | None:
    parts: list[PartVerdict] = []
    for each in depending:
        verdict = case.verdicts.get(each.id)
        # What denies something holds where nothing shows.
        if verdict and (each is claim or each.status is not Status.NOT_SUPPORTED):
            parts += verdict.parts
    must = [part for one in wrong for part in refuted(case.verdicts[one.id].parts)]
    above = lowest_named(claim.specifier)
    return case.seen.minimum(must, [part for part in parts if part not in must], above=above)


def _about_capability(claim: Claim) -> bool:
    """Return whether a claim is about a capability as such, and denies nothing."""
    if claim.status is Status.NOT_SUPPORTED:
        return False
    if claim.kind is ClaimKind.NOTE:
        return claim.get("capability") is not None
    return claim.kind in (ClaimKind.FRAMEWORK, ClaimKind.DEPLOYMENT, ClaimKind.AUTHENTICATION)


def _least(claim: Claim) -> str:
    """Return the version that a claim begins with, as written, "" where it is not just one."""
    lower = [one[2:] for one in claim.specifier.split(",") if one.startswith(">=")]
    return lower[0] if len(lower) == 1 else ""


def _only_one(paper: PageText, claim: Claim) -> bool:
    """Return whether the row makes just this one promise."""
    return [one for one in paper.claims if one.line == claim.line] == [claim]


def agreeing_minimums(
    case: ClaimCase, findings: Iterable[AuditFinding]
) -> Iterator[DocumentChange | UnchangedClaim]:
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
    case: ClaimCase, paper: PageText, settled: Collection[str]
) -> Iterator[DocumentChange | UnchangedClaim]:
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
    case: ClaimCase, findings: Iterable[AuditFinding], settled: Collection[str]
) -> Iterator[UnchangedClaim]:
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
        yield UnchangedClaim(
            places[0].document,
            places[0].line,
            f"{finding.subject}: {finding.says} ({where})",
            f"no evidence decides it; {finding.reason}",
            grounds=grounds,
        )


def _exact(case: ClaimCase, claim: Claim) -> bool:
    verdict = case.verdicts.get(claim.id)
    return (
        verdict is not None
        and verdict.outcome is Outcome.CONFIRMED
        and verdict.tightness is Tightness.EXACT
        and claim.specifier.startswith(">=")
        and "," not in claim.specifier
    )
