"""Words to use in a document: its own, as written there, otherwise those of its language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from matrix.documents.table_reader import SUPPORT
from matrix.documents.text import comparable
from matrix.documents.vocabulary import own_forms
from matrix.features.corrections.page import ClaimCase, PageText
from matrix.model.claim import Claim, ClaimKind, Status

_KINDS = (ClaimKind.FRAMEWORK, ClaimKind.DEPLOYMENT)
_LATIN = re.compile(r"[A-Za-z]+")


def support_column(page: PageText, claim: Claim) -> int | None:
    """Return the column that has the support of a framework or deployment."""
    layout = page.layout.table_at(claim.line)
    if layout is None:
        return None
    about_deployment = claim.kind is ClaimKind.DEPLOYMENT
    capability = claim.subject if about_deployment else claim.get("capability")
    return layout.position(SUPPORT, capability) if capability else None


def status_word(page: PageText, near: Claim, status: Status) -> tuple[str, str] | None:
    """Return the word for a status and the padding before it; None where there is no word.

    It is the most frequent word of the same column, otherwise of the same table, of other tables
    with support as yes or no, or the first word of the language.
    """
    layout = page.layout.table_at(near.line)
    column = support_column(page, near)
    of_column, of_table, of_page = [], [], []
    for claim in page.claims:
        if claim.status is not status or claim.kind not in _KINDS or has_details(claim):
            continue
        word = _written_word(page, claim)
        if word is None:
            continue
        of_page.append(word)
        if page.layout.table_at(claim.line) is layout:
            of_table.append(word)
            if support_column(page, claim) == column:
                of_column.append(word)
    for words in (of_column, of_table, of_page):
        if words:
            return Counter(words).most_common(1)[0][0]
    mark = "yes" if status is Status.SUPPORTED else "no"
    forms = own_forms(page.language, "marks", mark) or own_forms(
        page.language, "statuses", status.value
    )
    return (forms[0], " ") if forms else None


def capability_name(case: ClaimCase, page: PageText, capability: str) -> str | None:
    """Return the name of a capability in the page's language, None where it has no name.

    It is the most frequent name in all documents that the language has too; otherwise the first
    name of the language, in the capitals that the pages use.
    """
    forms = own_forms(page.language, "capabilities", capability)
    comparable_forms = {comparable(form) for form in forms}
    names = [name for name in _names(case, capability) if comparable(name) in comparable_forms]
    if names:
        return Counter(names).most_common(1)[0][0]
    return _capitalized(forms[0], case.pages.values()) if forms else None


def has_details(claim: Claim) -> bool:
    """Return whether a support cell has more than yes or no: versions, or a date."""
    versions = claim.specifier if claim.kind is ClaimKind.DEPLOYMENT else ""
    note = claim.get("note") or ""
    return bool(versions or claim.get("until") or "ddtrace " in note)


def _written_word(page: PageText, claim: Claim) -> tuple[str, str] | None:
    column, row = support_column(page, claim), page.row(claim.line)
    if column is None or row is None or column >= len(row.spans):
        return None
    cell = row.cell(column)
    return cell.strip(), cell[: len(cell) - len(cell.lstrip())] if cell.strip() else " "


def _names(case: ClaimCase, capability: str) -> Iterator[str]:
    for page in case.pages.values():
        for claim in page.claims:
            if claim.kind is ClaimKind.CAPABILITY and claim.subject == capability:
                layout = page.layout.table_at(claim.line)
                column = layout.position("capability") if layout else None
                if column is not None and (name := page.cell_text(claim.line, column)):
                    yield name


def _capitalized(form: str, pages: Iterable[PageText]) -> str:
    counts: dict[str, Counter[str]] = {}
    for page in pages:
        for word in _LATIN.findall(page.text):
            counts.setdefault(word.casefold(), Counter())[word] += 1

    def most_frequent(match: re.Match[str]) -> str:
        spellings = counts.get(match[0].casefold())
        return spellings.most_common(1)[0][0] if spellings else match[0]

    text = _LATIN.sub(most_frequent, form)
    return text[:1].upper() + text[1:]
