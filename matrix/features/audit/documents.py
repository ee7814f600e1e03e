"""Contradictions and omissions between documents, and within each document.

Compared are equal claims of several pages, minimums with the branches and runtimes of their page,
and notes with tables.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from matrix.features.audit.documents_compare import differing_values, missing_entries
from matrix.features.audit.findings import (
    AuditFinding,
    DocumentLine,
    FindingKind,
    claim_line,
    describe_claim,
    first_of_each_line,
    sort_findings,
)
from matrix.features.audit.pages import (
    Assessment,
    AuditedPage,
    Dates,
    compare_newest,
    dated_version,
    newest_release,
    no_dates,
)
from matrix.features.audit.versions import lower_bound, overlap
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.system.data_files import read_data

_OUTSIDE = {
    ClaimKind.BRANCH: FindingKind.MINIMUM_OUTSIDE_BRANCHES,
    ClaimKind.RUNTIME: FindingKind.MINIMUM_OUTSIDE_RUNTIMES,
}
_ALL_CAPABILITIES_NOTE = "all-capabilities-minimum"


def minimums_outside(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each capability minimum outside all branches or runtimes of its page."""
    for page in pages:
        capabilities = [
            claim
            for claim in page.of_kind(ClaimKind.CAPABILITY)
            if claim.specifier and claim.status is not Status.NOT_SUPPORTED
        ]
        for kind in _OUTSIDE:
            listed = page.of_kind(kind)
            for claim in capabilities:
                if listed and not any(overlap(claim.specifier, row.specifier) for row in listed):
                    yield _outside_finding(page, claim, listed, dates)


def _outside_finding(
    page: AuditedPage, claim: Claim, listed: Sequence[Claim], dates: Dates
) -> AuditFinding:
    kind = listed[0].kind
    word = "release branch" if kind is ClaimKind.BRANCH else kind.value
    table = first_of_each_line(map(claim_line, listed))
    ranges = ", ".join(dict.fromkeys(row.specifier for row in listed))
    since = lower_bound(claim.specifier)
    newest = newest_release(page, [kind])
    stale: tuple[DocumentLine, ...] = ()
    reason = "cannot tell which: the minimum is not a lower bound"
    if since is not None and (newest is None or since > newest):
        stale = table
        reason = (
            f"likely out of date: the {word} table, because the same page names the newer"
            f" {dated_version(since, dates)}; or the minimum is wrong"
        )
    elif since is not None:
        reason = f"cannot tell which: the {word} table names newer releases than {since}"
    return AuditFinding(
        _OUTSIDE[kind],
        f"capability/{claim.subject}",
        f"{claim.specifier} is outside every {word} of the page ({ranges})",
        (claim_line(claim), *table),
        stale,
        reason,
    )


def notes_against_tables(pages: Sequence[AuditedPage], dates: Dates) -> Iterator[AuditFinding]:
    """Yield a finding for each note that contradicts rows of a table.

    `data/audit.toml` selects the rows that a note is about. A note that narrows a claim (query
    strings in one framework) is about no row.
    """
    rules: Mapping[str, Any] = read_data("audit")["notes"]
    for page in pages:
        for note in page.of_kind(ClaimKind.NOTE):
            if note.subject == _ALL_CAPABILITIES_NOTE:
                yield from _minimum_for_all(page, note)
            elif note.subject in rules:
                for other in pages:
                    rows = _rows(rules[note.subject], note, other)
                    contradicting = [row for row in rows if _denies(row) != _denies(note)]
                    if contradicting:
                        yield _note_finding(note, contradicting, page, other, dates)


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


def _note_finding(
    note: Claim, rows: Sequence[Claim], page: AuditedPage, other: AuditedPage, dates: Dates
) -> AuditFinding:
    if page is other:
        assessment = Assessment("cannot tell which: both are on one page")
    else:
        assessment = compare_newest([page], [other], dates)
    places = (_note_line(note), *map(claim_line, rows))
    note_status, row_status = "support", "no support"
    if _denies(note):
        note_status, row_status = row_status, note_status
    count = "a row" if len(rows) == 1 else f"{len(rows)} rows"
    return AuditFinding(
        FindingKind.NOTE_AGAINST_TABLE,
        f"note/{note.subject}",
        f"{note_status} in a note of {note.document}, {row_status} in {count} of {other.document}",
        places,
        tuple(place for place in places if place.document in assessment.stale),
        assessment.reason,
    )


def _minimum_for_all(page: AuditedPage, note: Claim) -> Iterator[AuditFinding]:
    minimum = lower_bound(note.specifier)
    if minimum is None:
        return
    later = [
        claim
        for claim in page.of_kind(ClaimKind.CAPABILITY)
        if (since := lower_bound(claim.specifier)) is not None and since > minimum
    ]
    if later:
        yield AuditFinding(
            FindingKind.NOTE_AGAINST_TABLE,
            f"note/{note.subject}",
            f"the note says that {minimum} has all capabilities, the table names later minimums",
            (_note_line(note), *map(claim_line, later)),
            (_note_line(note),),
            "likely out of date: the note, because the table names newer releases",
        )


def _note_line(note: Claim) -> DocumentLine:
    return claim_line(note, f"note: {describe_claim(note)}")


_CHECKS = (differing_values, missing_entries, minimums_outside, notes_against_tables)


def compare_documents(
    claims: Iterable[Claim],
    *,
    dates: Dates = no_dates,
    unread: Mapping[str, Sequence[int]] | None = None,
) -> tuple[AuditFinding, ...]:
    """Return the contradictions and omissions between the documents, and within each.

    `dates` returns release dates for the reasons. `unread` are lines by document that were not
    understood and may contain what seems to be missing.
    """
    by_page: dict[str, list[Claim]] = defaultdict(list)
    for claim in claims:
        by_page[claim.document].append(claim)
    pages = [
        AuditedPage(name, tuple(page_claims), tuple((unread or {}).get(name, ())))
        for name, page_claims in by_page.items()
    ]
    return sort_findings(finding for check in _CHECKS for finding in check(pages, dates))
