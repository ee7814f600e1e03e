"""What one page says against itself: minimums outside its own branches and runtimes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matrix.audit.documents_pages import Page, named
from matrix.audit.finding import AuditFinding, FindingKind, Place, place_of
from matrix.audit.specifiers import lowest_named, overlap
from matrix.audit.staleness import Dates, newest_of, told
from matrix.model.claim import Claim, ClaimKind, Status

__all__ = ["minimums_outside"]

_CHECKS = {
    ClaimKind.BRANCH: FindingKind.MINIMUM_OUTSIDE_BRANCHES,
    ClaimKind.RUNTIME: FindingKind.MINIMUM_OUTSIDE_RUNTIMES,
}


def minimums_outside(pages: Sequence[Page], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each capability whose releases no listed branch or runtime contains."""
    for page in pages:
        capabilities = [
            claim
            for claim in page.of_kind(ClaimKind.CAPABILITY)
            if claim.specifier and claim.status is not Status.NOT_SUPPORTED
        ]
        for kind in _CHECKS:
            listed = page.of_kind(kind)
            for claim in capabilities:
                if listed and not any(overlap(claim.specifier, one.specifier) for one in listed):
                    yield _finding(page, claim, listed, dates)


def _finding(page: Page, claim: Claim, listed: Sequence[Claim], dates: Dates) -> AuditFinding:
    kind = listed[0].kind
    word = "release branch" if kind is ClaimKind.BRANCH else kind.value
    rows: dict[int, Place] = {}
    for one in listed:
        rows.setdefault(one.line, place_of(one, named(one)))
    table = tuple(rows.values())
    ends = ", ".join(dict.fromkeys(one.specifier for one in listed))
    since = lowest_named(claim.specifier)
    newest = newest_of(page, [kind])
    stale: tuple[Place, ...] = ()
    reason = "cannot tell which: the minimum is no lower bound"
    if since is not None and (newest is None or since > newest):
        stale = table
        reason = (
            f"likely out of date: the {word} table, because the same page names the newer"
            f" {told(since, dates)}; or the minimum is wrong"
        )
    elif since is not None:
        reason = f"cannot tell which: the {word} table names newer releases than {since}"
    return AuditFinding(
        _CHECKS[kind],
        f"capability/{claim.subject}",
        f"{claim.specifier} is in no {word} that the page lists ({ends})",
        (place_of(claim, named(claim)), *table),
        stale,
        reason,
    )
