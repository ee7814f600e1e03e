"""The documents against each other: the same promise must be the same wherever it stands.

What one page says against itself: minimums outside its own branches and runtimes.

What notes say against tables: one denies what the other affirms, on one page or on two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from matrix.features.audit.documents_compare import differing_values, missing_things
from matrix.features.audit.findings import (
    AuditFinding,
    DocumentLine,
    FindingKind,
    in_order,
    place_of,
)
from matrix.features.audit.pages import (
    AuditedPage,
    Dates,
    Opinion,
    by_newest,
    named,
    newest_of,
    no_dates,
    pages_of,
    told,
)
from matrix.features.audit.versions import lowest_named, overlap
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.system.data_files import read_data

__all__ = ["compare_documents", "minimums_outside", "notes_against_tables"]

_DOCUMENTS_WITHIN_CHECKS = {
    ClaimKind.BRANCH: FindingKind.MINIMUM_OUTSIDE_BRANCHES,
    ClaimKind.RUNTIME: FindingKind.MINIMUM_OUTSIDE_RUNTIMES,
}


def minimums_outside(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each capability whose releases no listed branch or runtime contains."""
    for page in pages:
        capabilities = [
            claim
            for claim in page.of_kind(ClaimKind.CAPABILITY)
            if claim.specifier and claim.status is not Status.NOT_SUPPORTED
        ]
        for kind in _DOCUMENTS_WITHIN_CHECKS:
            listed = page.of_kind(kind)
            for claim in capabilities:
                if listed and not any(overlap(claim.specifier, one.specifier) for one in listed):
                    yield _documents_within_finding(page, claim, listed, dates)


def _documents_within_finding(
    page: AuditedPage, claim: Claim, listed: Sequence[Claim], dates: Dates
) -> AuditFinding:
    kind = listed[0].kind
    word = "release branch" if kind is ClaimKind.BRANCH else kind.value
    rows: dict[int, DocumentLine] = {}
    for one in listed:
        rows.setdefault(one.line, place_of(one, named(one)))
    table = tuple(rows.values())
    ends = ", ".join(dict.fromkeys(one.specifier for one in listed))
    since = lowest_named(claim.specifier)
    newest = newest_of(page, [kind])
    stale: tuple[DocumentLine, ...] = ()
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
        _DOCUMENTS_WITHIN_CHECKS[kind],
        f"capability/{claim.subject}",
        f"{claim.specifier} is in no {word} that the page lists ({ends})",
        (place_of(claim, named(claim)), *table),
        stale,
        reason,
    )


_FOR_ALL = "all-capabilities-minimum"


def notes_against_tables(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each note and the rows that say the opposite.

    Which rows a note speaks about stands in `data/audit.toml`. A note that narrows a promise
    (query strings in one framework) speaks about no row and contradicts none.
    """
    about: Mapping[str, Any] = read_data("audit")["notes"]
    for page in pages:
        for note in page.of_kind(ClaimKind.NOTE):
            if note.subject == _FOR_ALL:
                yield from _minimum_for_all(page, note)
            elif note.subject in about:
                for other in pages:
                    rows = _rows(about[note.subject], note, other)
                    against = [row for row in rows if _denies(row) != _denies(note)]
                    if against:
                        yield _finding(note, against, page, other, dates)


def _rows(rule: Mapping[str, Any], note: Claim, page: AuditedPage) -> Iterator[Claim]:
    subjects: set[str] | None = None
    if "subjects" in rule:
        words = (note.get("note") or "").split(", ")
        subjects = {subject for word in words for subject in rule["subjects"].get(word, ())}
    for claim in page.of_kind(ClaimKind(rule["kind"])):
        if "capability" in rule and claim.get("capability") != rule["capability"]:
            continue
        if subjects is None or claim.subject in subjects:
            yield claim


def _denies(claim: Claim) -> bool:
    return claim.status is Status.NOT_SUPPORTED


def _finding(
    note: Claim, rows: Sequence[Claim], page: AuditedPage, other: AuditedPage, dates: Dates
) -> AuditFinding:
    if page is other:
        opinion = Opinion(frozenset(), "cannot tell which: both stand on one page")
    else:
        opinion = by_newest([page], [other], dates)
    places = (place_of(note, f"note: {named(note)}"), *(place_of(row, named(row)) for row in rows))
    verbs = ("denies", "affirm") if _denies(note) else ("affirms", "deny")
    count = "a row" if len(rows) == 1 else f"{len(rows)} rows"
    return AuditFinding(
        FindingKind.NOTE_AGAINST_TABLE,
        f"note/{note.subject}",
        f"the note of {note.document} {verbs[0]} what {count} of {other.document} {verbs[1]}",
        places,
        tuple(place for place in places if place.document in opinion.stale),
        opinion.reason,
    )


def _minimum_for_all(page: AuditedPage, note: Claim) -> Iterator[AuditFinding]:
    enough = lowest_named(note.specifier)
    if enough is None:
        return
    later = [
        claim
        for claim in page.of_kind(ClaimKind.CAPABILITY)
        if (since := lowest_named(claim.specifier)) is not None and since > enough
    ]
    if later:
        yield AuditFinding(
            FindingKind.NOTE_AGAINST_TABLE,
            f"note/{note.subject}",
            f"the note says that {enough} has all capabilities, the table asks for more",
            (
                place_of(note, f"note: {named(note)}"),
                *(place_of(claim, named(claim)) for claim in later),
            ),
            (place_of(note, f"note: {named(note)}"),),
            "likely out of date: the note, because the table names newer releases",
        )


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
