"""The words to use in a document: its own, as they stand in it, else its language's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from matrix.documents.table_reader import SUPPORT
from matrix.documents.text import comparable
from matrix.documents.vocabulary import own_forms
from matrix.features.corrections.page import ClaimCase, PageText
from matrix.model.claim import Claim, ClaimKind, Status

__all__ = ["Word", "capability_name", "says_more", "state_word", "support_column"]

_KINDS = (ClaimKind.FRAMEWORK, ClaimKind.DEPLOYMENT)
_LATIN = re.compile(r"[A-Za-z]+")
Word = tuple[str, str]
"""A cell's text and the padding before it."""


def support_column(paper: PageText, claim: Claim) -> int | None:
    """Return the column in which a framework's or deployment's support stands."""
    laid = paper.layout.table_at(claim.line)
    if laid is None:
        return None
    about_deployment = claim.kind is ClaimKind.DEPLOYMENT
    capability = claim.subject if about_deployment else claim.get("capability")
    return laid.position(SUPPORT, capability) if capability else None


def state_word(paper: PageText, near: Claim, status: Status) -> Word | None:
    """Return how the document writes a state, None where neither it nor its language has a word.

    As the same column writes it, else the same table, else another table that says of support yes
    or no, else the first word of the language for it.
    """
    laid = paper.layout.table_at(near.line)
    column = support_column(paper, near)
    columns, tables, pages = [], [], []
    for claim in paper.claims:
        if claim.status is not status or claim.kind not in _KINDS or says_more(claim):
            continue
        word = _written(paper, claim)
        if word is None:
            continue
        pages.append(word)
        if paper.layout.table_at(claim.line) is laid:
            tables.append(word)
            if support_column(paper, claim) == column:
                columns.append(word)
    for found in (columns, tables, pages):
        if found:
            return Counter(found).most_common(1)[0][0]
    group, key = ("marks", "yes") if status is Status.SUPPORTED else ("marks", "no")
    forms = own_forms(paper.language, group, key) or own_forms(
        paper.language, "statuses", status.value
    )
    return (forms[0], " ") if forms else None


def capability_name(case: ClaimCase, paper: PageText, capability: str) -> str | None:
    """Return how a capability is called in the language of a document, None where it has no word.

    As a page writes it, where the language knows that name as its own; else the language's first
    word for it, in the capitals that the pages use.
    """
    forms = own_forms(paper.language, "capabilities", capability)
    known = {comparable(form) for form in forms}
    written = [name for name in _names(case, capability) if comparable(name) in known]
    if written:
        return Counter(written).most_common(1)[0][0]
    return _in_capitals(forms[0], case.papers.values()) if forms else None


def says_more(claim: Claim) -> bool:
    """Return whether a cell of support says more than yes or no: versions, or a date."""
    versions = claim.specifier if claim.kind is ClaimKind.DEPLOYMENT else ""
    note = claim.get("note") or ""
    return bool(versions or claim.get("until") or "ddtrace " in note)


def _written(paper: PageText, claim: Claim) -> Word | None:
    column, row = support_column(paper, claim), paper.row(claim.line)
    if column is None or row is None or column >= len(row.spans):
        return None
    cell = row.cell(column)
    return cell.strip(), cell[: len(cell) - len(cell.lstrip())] if cell.strip() else " "


def _names(case: ClaimCase, capability: str) -> Iterator[str]:
    for paper in case.papers.values():
        for claim in paper.claims:
            if claim.kind is ClaimKind.CAPABILITY and claim.subject == capability:
                laid = paper.layout.table_at(claim.line)
                column = laid.position("capability") if laid else None
                if column is not None and (name := paper.written(claim.line, column)):
                    yield name


def _in_capitals(form: str, papers: Iterable[PageText]) -> str:
    counts: dict[str, Counter[str]] = {}
    for paper in papers:
        for word in _LATIN.findall(paper.text):
            counts.setdefault(word.casefold(), Counter())[word] += 1

    def cased(found: re.Match[str]) -> str:
        seen = counts.get(found[0].casefold())
        return seen.most_common(1)[0][0] if seen else found[0]

    text = _LATIN.sub(cased, form)
    return text[:1].upper() + text[1:]
