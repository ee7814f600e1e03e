"""Corrections of minimums, from the first release that was observed to work.

A framework, a login or a note that fails with the documented minimum of a capability and works
with a later release is not wrong itself: the minimum is. Minimums that are too high, or that
differ between documents, follow the one that evidence confirms.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Sequence

from matrix.features.audit.findings import AuditFinding, FindingKind
from matrix.features.audit.versions import contains, lower_bound
from matrix.features.corrections.basis import KnownMinimum
from matrix.features.corrections.change import (
    Action,
    ChangeGround,
    ClaimCase,
    Correction,
    DocumentChange,
    UnchangedClaim,
)
from matrix.features.corrections.page import PageText
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.fact import FactKind, fact
from matrix.model.verdict import Outcome, PartVerdict, Tightness
from matrix.planning.coverage import CoverageRule, load_coverage
from matrix.planning.expectations import documented_minimum
from matrix.planning.page import ClaimPage

_MAX_FINDINGS = 6


def corrected_minimums(case: ClaimCase, page: PageText) -> Iterator[Correction]:
    """Yield a change for each capability whose minimum, or a claim depending on it, is refuted."""
    for claim, dependents in _dependents(page).items():
        wrong = case.refuted(dependents)
        if not wrong:
            continue
        known = _known_minimum(case, claim, wrong, dependents)
        if known is not None:
            yield _with_minimum(case, claim, wrong, known)
        elif claim in wrong:
            yield UnchangedClaim(
                claim.document,
                claim.line,
                f"the minimum of {claim.subject}, {claim.as_written}",
                "no release was observed in which everything refuted works",
                refuted=True,
                grounds=case.grounds(
                    other for other in wrong if other is claim or other.kind is ClaimKind.DEPLOYMENT
                ),
            )


def agreeing_minimums(case: ClaimCase, findings: Iterable[AuditFinding]) -> Iterator[Correction]:
    """Yield a change for each minimum that is too high where another page has the exact one."""
    by_id = {claim.id: claim for claim in case.claims}
    for finding in findings:
        if finding.kind is not FindingKind.MINIMUM_DIFFERS:
            continue
        claims = [by_id[place.claim] for place in finding.places if place.claim in by_id]
        claims = [claim for claim in claims if claim.kind is ClaimKind.CAPABILITY]
        exact = next((claim for claim in claims if _is_exact(case, claim)), None)
        lowest = lower_bound(exact.specifier) if exact else None
        if exact is None or lowest is None:
            continue
        for claim in claims:
            own = lower_bound(claim.specifier)
            confirmed = case.outcome(claim) is Outcome.CONFIRMED
            if confirmed and own is not None and own > lowest:
                verdict = case.verdicts[exact.id]
                cells = {cell for part in verdict.parts for cell in part.cells[:2]}
                shown = tuple(one for one in case.observed.findings if one.cell in cells)
                version = exact.specifier.removeprefix(">=")
                known = KnownMinimum(version, exact=True, fails="", findings=shown)
                yield _with_minimum(case, claim, [claim, exact], known, action=Action.LOWER)


def lowered_minimums(
    case: ClaimCase, page: PageText, settled: Collection[str]
) -> Iterator[Correction]:
    """Yield a change for each confirmed minimum below which an earlier release works as well.

    A minimum that is too high is not false: this is optional.
    """
    for claim in _dependents(page):
        if claim.id in settled or case.tightness(claim) is not Tightness.EARLIER:
            continue
        parts = case.verdicts[claim.id].parts
        known = case.observed.minimum(parts, (), below=lower_bound(claim.specifier))
        if known is not None:
            yield _with_minimum(case, claim, [claim], known, action=Action.LOWER)


def disagreements(
    case: ClaimCase, findings: Iterable[AuditFinding], settled: Collection[str]
) -> Iterator[UnchangedClaim]:
    """Yield the differences between documents that no evidence decides."""
    by_id = {claim.id: claim for claim in case.claims}
    for finding in findings:
        places = [place for place in finding.places if place.claim]
        if (
            not places
            or finding.kind.value.endswith("-missing")
            or any(place.claim in settled for place in places)
        ):
            continue
        locations = ", ".join(dict.fromkeys(str(place) for place in finding.places))
        claims = [by_id[place.claim] for place in places if place.claim in case.verdicts]
        yield UnchangedClaim(
            places[0].document,
            places[0].line,
            f"{finding.subject}: {finding.says} ({locations})",
            f"no evidence decides it; {finding.reason}",
            grounds=case.grounds(
                claim for claim in claims if case.outcome(claim) is not Outcome.UNVERIFIED
            ),
        )


def _dependents(page: PageText) -> dict[Claim, list[Claim]]:
    """Return the claims that depend on the minimum of each capability, itself the first."""
    claim_page, coverage = ClaimPage(page.joined), load_coverage()
    dependents: dict[Claim, list[Claim]] = {
        claim: [claim] for claim in page.joined if claim.kind is ClaimKind.CAPABILITY
    }
    for claim in page.joined:
        rule = coverage.rule(claim)
        if isinstance(rule, CoverageRule) and _promises_capability(claim):
            minimum = documented_minimum(claim, rule, claim_page)
            if minimum in dependents:
                dependents[minimum].append(claim)
    return dependents


def _promises_capability(claim: Claim) -> bool:
    """Return whether a claim promises a capability, and does not deny it."""
    if claim.status is Status.NOT_SUPPORTED:
        return False
    if claim.kind is ClaimKind.NOTE:
        return claim.get("capability") is not None
    return claim.kind in (ClaimKind.FRAMEWORK, ClaimKind.DEPLOYMENT, ClaimKind.AUTHENTICATION)


def _known_minimum(
    case: ClaimCase, claim: Claim, wrong: Sequence[Claim], dependents: Sequence[Claim]
) -> KnownMinimum | None:
    parts: list[PartVerdict] = []
    for dependent in dependents:
        verdict = case.verdicts.get(dependent.id)
        # A claim that denies something is confirmed where nothing is observed.
        if verdict and (dependent is claim or dependent.status is not Status.NOT_SUPPORTED):
            parts += verdict.parts
    required = [
        part
        for other in wrong
        for part in case.verdicts[other.id].parts
        if part.outcome is Outcome.REFUTED
    ]
    optional = [part for part in parts if part not in required]
    return case.observed.minimum(required, optional, above=lower_bound(claim.specifier))


def _with_minimum(
    case: ClaimCase,
    claim: Claim,
    wrong: Sequence[Claim],
    known: KnownMinimum,
    *,
    action: Action = Action.MINIMUM,
) -> Correction:
    """Return the change that gives a capability another minimum and keeps the rest of the row."""
    grounds = _grounds(case, wrong, known)
    old, new = _only_minimum(claim), known.release
    page = case.pages[claim.document]
    row = page.row(claim.line)
    column = row.layout.position("minimum") if row else None
    specifier = claim.specifier.replace(f">={old}", f">={new}") if old else f">={new}"
    replacement = None
    reason = "the cell has more than one version, or its position in the line is not known"
    is_alone = [other for other in page.claims if other.line == claim.line] == [claim]
    if row is not None and column is not None and is_alone:
        if claim.status is Status.NOT_SUPPORTED:
            replacement = row.replace_cell(column, new)
        elif old:
            replacement = row.replace_version(column, old, new)
    if replacement is not None and not contains(specifier, new):
        replacement, reason = None, "the range in the cell would begin after its end"
    if replacement is None:
        return UnchangedClaim(
            claim.document,
            claim.line,
            f"{claim.subject}: {claim.as_written!r} should be {new}",
            reason,
            refuted=action is Action.MINIMUM,
            grounds=grounds,
        )
    status = Status.SUPPORTED if claim.status is Status.NOT_SUPPORTED else claim.status
    return DocumentChange(
        action,
        claim.document,
        claim.line,
        f"the minimum of {claim.subject}: {claim.as_written} \N{RIGHTWARDS ARROW} {new}",
        (replacement,),
        (claim.fact,),
        (dataclasses.replace(claim, specifier=specifier, status=status).fact,),
        grounds,
        " ".join(filter(None, [_bound_caveat(claim.subject, known), _open_caveat(case, wrong)])),
    )


def _only_minimum(claim: Claim) -> str:
    """Return the version that a claim begins with, as written, "" unless there is exactly one."""
    lower = [one[2:] for one in claim.specifier.split(",") if one.startswith(">=")]
    return lower[0] if len(lower) == 1 else ""


def _is_exact(case: ClaimCase, claim: Claim) -> bool:
    return (
        case.tightness(claim) is Tightness.EXACT
        and claim.specifier.startswith(">=")
        and "," not in claim.specifier
    )


def _bound_caveat(capability: str, known: KnownMinimum) -> str:
    """Return a sentence for a minimum that is only an upper bound, "" where it is exact."""
    if known.exact:
        return ""
    failing = ""
    if known.fails:
        failing = f" ({known.fails} does not, and nothing is known of the releases between them)"
    return (
        f"An upper bound: it works from at most {known.release}{failing};"
        f" `nox -s minimum -- {capability}` finds the exact release."
    )


def _open_caveat(case: ClaimCase, wrong: Sequence[Claim]) -> str:
    """Return a sentence for parts of the claims that stay unverified, "" where there are none."""
    parts = [part for claim in wrong for part in case.verdicts[claim.id].parts]
    unverified = sum(part.outcome is Outcome.UNVERIFIED for part in parts)
    if not unverified:
        return ""
    return (
        f"{unverified} of {len(parts)} parts stay unverified: the new minimum says nothing of them."
    )


def _grounds(
    case: ClaimCase, wrong: Sequence[Claim], known: KnownMinimum
) -> tuple[ChangeGround, ...]:
    """Return the evidence for a new minimum: wrong claims, and findings of both releases."""
    first = wrong[0]
    observed = [
        ChangeGround(
            first.id,
            first.document,
            first.line,
            finding.shows.value,
            (fact(FactKind.TEXT, text=f"{finding.probe}, {finding.channel}:"), *finding.facts),
            (finding.cell,),
            finding.backends,
        )
        for finding in known.findings[:_MAX_FINDINGS]
    ]
    return (*case.grounds(wrong), *observed)
