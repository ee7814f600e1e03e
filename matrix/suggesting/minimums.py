"""Refuted minimums, and what rests on them: the least release that was seen to work instead.

A framework, a login or a note that fails with the documented minimum of a capability, and works
with a later release, is no false promise by itself: the minimum is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matrix.audit.specifiers import contains, lowest_named
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.service import against
from matrix.model.verdict import Outcome, PartVerdict
from matrix.planning.asks import documented_minimum
from matrix.planning.coverage import Rule, load_coverage
from matrix.planning.page import Page
from matrix.suggesting.change import Action, Change, Ground, LeftAlone, ground_of
from matrix.suggesting.paper import Case, Paper
from matrix.suggesting.seen import KnownMinimum, refuted

__all__ = ["caveat_of", "corrected_minimums", "dependents", "grounds_of", "with_minimum"]

_SHOWN = 6


def corrected_minimums(case: Case, paper: Paper) -> Iterator[Change | LeftAlone]:
    """Yield a change for each capability whose minimum, or what rests on it, is refuted."""
    for claim, depending in dependents(paper).items():
        wrong = case.refuted(depending)
        if not wrong:
            continue
        known = _known(case, claim, wrong, depending)
        if known is not None:
            yield with_minimum(case, paper, claim, wrong, known)
        elif claim in wrong:
            yield LeftAlone(
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


def dependents(paper: Paper) -> dict[Claim, list[Claim]]:
    """Return what stands or falls with the minimum of each capability, itself the first."""
    page, coverage = Page(paper.claims), load_coverage()
    found: dict[Claim, list[Claim]] = {
        claim: [claim] for claim in paper.claims if claim.kind is ClaimKind.CAPABILITY
    }
    for claim in paper.claims:
        rule = coverage.rule(claim)
        if claim in found or not isinstance(rule, Rule) or not _about_capability(claim):
            continue
        minimum = documented_minimum(claim, rule, page)
        if minimum in found:
            found[minimum].append(claim)
    return found


def with_minimum(  # noqa: PLR0913 - a change and what it rests on
    case: Case,
    paper: Paper,
    claim: Claim,
    wrong: Sequence[Claim],
    known: KnownMinimum,
    *,
    action: Action = Action.MINIMUM,
) -> Change | LeftAlone:
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
        return LeftAlone(
            claim.document,
            claim.line,
            f"{claim.subject}: {claim.as_written!r} should be {new}",
            why,
            refuted=action is Action.MINIMUM,
            grounds=grounds,
        )
    status = Status.SUPPORTED if claim.status is Status.NOT_SUPPORTED else claim.status
    come = (claim.kind.value, claim.subject, specifier, status.value, claim.scope)
    return Change(
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


def _open(case: Case, wrong: Sequence[Claim]) -> str:
    """Return what of the claims is still open, "" where nothing is."""
    parts = [part for claim in wrong for part in case.verdicts[claim.id].parts]
    unverified = sum(part.outcome is Outcome.UNVERIFIED for part in parts)
    if not unverified:
        return ""
    return (
        f"{unverified} of {len(parts)} parts stay unverified: the new minimum says nothing of them."
    )


def grounds_of(case: Case, wrong: Sequence[Claim], known: KnownMinimum) -> tuple[Ground, ...]:
    """Return what a new minimum rests on: what is wrong, and what was seen of both releases."""
    first = wrong[0]
    seen = [
        Ground(
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
    case: Case, claim: Claim, wrong: Sequence[Claim], depending: Sequence[Claim]
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


def _only_one(paper: Paper, claim: Claim) -> bool:
    """Return whether the row makes just this one promise."""
    return [one for one in paper.claims if one.line == claim.line] == [claim]
