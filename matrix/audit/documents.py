"""The documents against each other: the same promise must be the same wherever it stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from matrix.audit.documents_missing import missing_things
from matrix.audit.documents_notes import notes_against_tables
from matrix.audit.documents_pages import pages_of
from matrix.audit.documents_values import differing_values
from matrix.audit.documents_within import minimums_outside
from matrix.audit.finding import AuditFinding, in_order
from matrix.audit.staleness import Dates, no_dates
from matrix.model.claim import Claim

__all__ = ["compare_documents"]

_CHECKS = (differing_values, missing_things, minimums_outside, notes_against_tables)


def compare_documents(
    claims: Iterable[Claim],
    *,
    dates: Dates = no_dates,
    unread: Mapping[str, Sequence[int]] | None = None,
) -> tuple[AuditFinding, ...]:
    """Return what does not fit between the documents, and within each.

    `dates` tells when a release was made, to give reasons; `unread` are the lines of a document
    that were not understood: what a page seems to lack may stand there.
    """
    pages = pages_of(claims, unread)
    return in_order(finding for check in _CHECKS for finding in check(pages, dates))
