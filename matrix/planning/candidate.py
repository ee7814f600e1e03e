"""Of all claims those about one release of the tracer."""

from __future__ import annotations

from collections.abc import Sequence

from matrix.errors import NothingSelectedError, UsageError
from matrix.model.claim import Claim, ClaimKind
from matrix.model.reason import Reason
from matrix.planning.coverage import Coverage
from matrix.planning.expectations import concerns, documented_minimum
from matrix.planning.page import ClaimPage, pages_of
from matrix.pypi.releases import Releases

__all__ = ["claims_about"]


def claims_about(
    candidate: str, claims: Sequence[Claim], coverage: Coverage, tracer: Releases
) -> tuple[Claim, ...]:
    """Return the claims about the shelf's candidate, in their order.

    Raises UsageError where the shelf has no release `candidate`, NothingSelectedError where no
    claim is about it.
    """
    if tracer.candidate is None:
        raise UsageError(
            f"there is no release {candidate} of {tracer.name}",
            "A release that is not published is given by its wheels.",
        )
    pages = pages_of(claims)
    found = tuple(
        claim
        for claim in claims
        if _concerned(claim, pages[claim.document, claim.sha256], coverage, tracer)
    )
    if not found:
        branches = sorted({branch for page in pages.values() for branch in page.branches})
        raise NothingSelectedError(
            f"no claim is about {tracer.name} {candidate}",
            f"The documents speak of the branches {' and '.join(branches) or '(none named)'}.",
        )
    return found


def _concerned(claim: Claim, page: ClaimPage, coverage: Coverage, tracer: Releases) -> bool:
    rule = coverage.rule(claim)
    if isinstance(rule, Reason):
        own = claim if claim.kind is ClaimKind.CAPABILITY else None
        return concerns(claim, own, page, tracer)
    return any(
        concerns(claim, documented_minimum(claim, each, page), page, tracer)
        for each in (rule, *coverage.answering(claim, rule))
    )
