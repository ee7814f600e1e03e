"""Whether a promise is about one release of the tracer."""

from __future__ import annotations

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.planning.boundaries import tips
from matrix.planning.page import Page
from matrix.planning.shelf import Shelf, allows

__all__ = ["concerns"]


def concerns(claim: Claim, minimum: Claim | None, page: Page, tracer: Shelf) -> bool:
    """Return whether `claim` is about the shelf's candidate; `minimum` has its documented minimum.

    A page that names branches says nothing of others, whatever a row's version admits. What has no
    version was promised to the newest of the page's branches; what a page denies, to all of them.
    """
    assert tracer.candidate is not None  # noqa: S101 - nobody asks without one
    version = tracer.candidate.meant
    own = page.branches_of(version)
    if page.branches and not own:
        return False
    if claim.kind in (ClaimKind.RUNTIME, ClaimKind.BRANCH):
        return allows(claim.specifier, version)
    if claim.kind is ClaimKind.INTEGRATION:
        return True
    specifier = minimum.specifier if minimum else ""
    if specifier:
        return allows(specifier, version)
    if claim.status is Status.NOT_SUPPORTED:
        return True
    newest = tips(tracer, page.branches)[-1:]
    return all(page.branches_of(each.minimum.meant) == own for each in newest)
