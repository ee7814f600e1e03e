"""What notes say against tables: one denies what the other affirms, on one page or on two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.audit.documents_pages import Page, named
from matrix.audit.finding import AuditFinding, FindingKind, place_of
from matrix.audit.specifiers import lowest_named
from matrix.audit.staleness import Dates, Opinion, by_newest
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.planning.data import read_data

__all__ = ["notes_against_tables"]

_FOR_ALL = "all-capabilities-minimum"


def notes_against_tables(pages: Sequence[Page], dates: Dates) -> Iterator[AuditFinding]:
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


def _rows(rule: Mapping[str, Any], note: Claim, page: Page) -> Iterator[Claim]:
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
    note: Claim, rows: Sequence[Claim], page: Page, other: Page, dates: Dates
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


def _minimum_for_all(page: Page, note: Claim) -> Iterator[AuditFinding]:
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
