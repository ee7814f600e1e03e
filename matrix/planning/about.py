"""Whether a promise is about one release of the tracer."""

from __future__ import annotations

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.planning.boundaries import tips
from matrix.planning.page import Page
from matrix.planning.shelf import Shelf, allows

__all__ = ["concerns"]


def concerns(claim: Claim, minimum: Claim | None, page: Page, tracer: Shelf) -> bool:
    """Return whether `claim` is about the shelf's candidate; `minimum` has its documented minimum.

    A version that is documented says it: `>=1.9.0` is promised to all that come after, also where
    the page's table of branches is older than they are. What has no version is promised to the
    branches that the page names, and what is denied is denied of these: a later one may have got
    it. A preview without a version was promised to the newest branch of the page alone.
    """
    assert tracer.candidate is not None  # noqa: S101 - nobody asks without one
    version = tracer.candidate.meant
    of_releases = claim.kind in (ClaimKind.RUNTIME, ClaimKind.BRANCH)
    specifier = claim.specifier if of_releases else minimum.specifier if minimum else ""
    if specifier and not allows(specifier, version):
        return False
    if specifier and (of_releases or claim.status is not Status.NOT_SUPPORTED):
        return True
    own = page.branches_of(version)
    if page.branches and not own:
        return False
    denied = claim.status is Status.NOT_SUPPORTED
    if of_releases or denied or claim.kind is ClaimKind.INTEGRATION:
        return True
    newest = tips(tracer, page.branches)[-1:]
    return all(page.branches_of(each.minimum.meant) == own for each in newest)
