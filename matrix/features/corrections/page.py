"""Documents to correct: their files, their layout, and the words that they use."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from matrix.documents.claim_ids import document_names
from matrix.documents.document import (
    PageLayout,
    ReadDocument,
    TableLayout,
    read_documents,
    read_layout,
)
from matrix.documents.source import load_source
from matrix.documents.table_reader import SUPPORT
from matrix.documents.text import comparable, plain
from matrix.documents.vocabulary import own_forms
from matrix.errors import UnreadableInputError
from matrix.features.corrections.edit import (
    FileText,
    Replacement,
    cell_spans,
    column_cells,
    padding,
    parse_file_text,
    refit_cell,
    replace_number,
)
from matrix.model.claim import Claim, ClaimKind, Status

SUPPORT_KINDS = (ClaimKind.FRAMEWORK, ClaimKind.DEPLOYMENT)
_LATIN = re.compile(r"[A-Za-z]+")


@dataclasses.dataclass(frozen=True)
class PlacedRow:
    """A row of a table with the positions of its cells in the line of the file.

    `other_lines` are the other lines of the table.
    """

    line: int
    text: str
    spans: tuple[tuple[int, int], ...]
    layout: TableLayout
    other_lines: Sequence[str]

    def cell(self, column: int) -> str:
        """Return a cell as the file has it, with its padding."""
        return self.text[slice(*self.spans[column])]

    def replace_cell(self, column: int, text: str, lead: str = " ") -> Replacement:
        """Return the edit that replaces the text of a cell."""
        start, end = self.spans[column]
        others = column_cells(self.other_lines, column)
        return Replacement(self.line, start, end, refit_cell(self.cell(column), text, others, lead))

    def replace_version(self, column: int, old: str, new: str) -> Replacement | None:
        """Return the edit of a version within a cell; None unless the cell has it exactly once."""
        text = replace_number(self.cell(column), old, new)
        return None if text is None else self.replace_cell(column, text.strip())


@dataclasses.dataclass(frozen=True, eq=False)
class PageText:
    """A document: its file, its layout, and its claims.

    `problems` are the messages, without line numbers, about what was not understood.
    """

    name: str
    path: Path
    language: str
    file: FileText
    layout: PageLayout
    claims: tuple[Claim, ...]
    problems: tuple[str, ...] = ()

    def row(self, line: int) -> PlacedRow | None:
        """Return the row on a line; None where its cells cannot be located in the file."""
        layout = self.layout.table_at(line)
        if layout is None:
            return None
        text = self.file.line(line)
        spans = tuple(cell_spans(text))
        row = next(row for row in layout.table.rows if row.line == line)
        # The address of a link in the last column may have a pipe.
        is_open = layout.columns[-1].role == "documentation"
        if len(spans) != len(row.cells) or (len(spans) > len(layout.columns) and not is_open):
            return None
        return PlacedRow(line, text, spans, layout, self.lines_of(layout, without=line))

    def lines_of(self, layout: TableLayout, without: int = 0) -> list[str]:
        """Return the lines of a table as the file has them, except for one: header, rule, rows."""
        first = layout.table.header.line
        numbers = [first, first + 1, *(row.line for row in layout.table.rows)]
        return [self.file.line(number) for number in numbers if number != without]

    def cell(self, line: int, column: int | None) -> str | None:
        """Return a cell with its padding, None where it cannot be located in the file."""
        row = self.row(line)
        if row is None or column is None or column >= len(row.spans):
            return None
        return row.cell(column)

    @functools.cached_property
    def text(self) -> str:
        """Return the words of the page."""
        return plain(" ".join(text for text, _ in self.file.lines))


def read_pages(
    paths: Sequence[Path], *, lenient: bool = False, partials: Path | None = None
) -> tuple[ReadDocument, dict[str, PageText]]:
    """Return the claims of the documents, and by name the documents that have any.

    A page's text has none of the claims of its partials, which are not in the file.
    Raises the errors of `read_documents`, and `UnreadableInputError` for a file that changes.
    """
    unique = list({path.absolute(): path for path in paths}.values())
    reading = read_documents(unique, lenient=lenient, partials=partials)
    pages = {}
    for path, name in zip(unique, document_names(unique), strict=True):
        claims = tuple(
            claim
            for claim in reading.claims
            if claim.document == name and claim.get("partial") is None
        )
        if not claims:
            continue
        source = load_source(path)
        if source.sha256 != claims[0].sha256:
            raise UnreadableInputError(
                f"{path} was changed while it was read", "Run the command again."
            )
        problems = (*reading.problems, *reading.notices)
        pages[name] = PageText(
            name=name,
            path=path,
            language=claims[0].language,
            file=parse_file_text(path.read_bytes()),
            layout=read_layout(path, claims[0].language),
            claims=claims,
            problems=tuple(problem.message for problem in problems if problem.document == name),
        )
    return reading, pages


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
    words: dict[tuple[bool, bool], Counter[tuple[str, str]]] = defaultdict(Counter)
    for claim in page.claims:
        if claim.status is not status or claim.kind not in SUPPORT_KINDS or has_details(claim):
            continue
        own_column = support_column(page, claim)
        cell = page.cell(claim.line, own_column)
        if cell is not None:
            in_table = page.layout.table_at(claim.line) is layout
            words[in_table, in_table and own_column == column][cell.strip(), padding(cell)] += 1
    if words:
        return words[max(words)].most_common(1)[0][0]
    mark = "yes" if status is Status.SUPPORTED else "no"
    forms = own_forms(page.language, "marks", mark) or own_forms(
        page.language, "statuses", status.value
    )
    return (forms[0], " ") if forms else None


def capability_name(pages: Collection[PageText], language: str, capability: str) -> str | None:
    """Return the name of a capability in a language, None where it has no name.

    It is the most frequent name in all pages that the language has too; otherwise the first
    name of the language, in the capitals that the pages use.
    """
    forms = own_forms(language, "capabilities", capability)
    comparable_forms = {comparable(form) for form in forms}
    names = [name for name in _names(pages, capability) if comparable(name) in comparable_forms]
    if names:
        return Counter(names).most_common(1)[0][0]
    return _capitalized(forms[0], pages) if forms else None


def has_details(claim: Claim) -> bool:
    """Return whether a support cell has more than yes or no: versions, or a date."""
    versions = claim.specifier if claim.kind is ClaimKind.DEPLOYMENT else ""
    note = claim.get("note") or ""
    return bool(versions or claim.get("until") or "ddtrace " in note)


def _names(pages: Iterable[PageText], capability: str) -> Iterator[str]:
    for page in pages:
        for claim in page.claims:
            if claim.kind is ClaimKind.CAPABILITY and claim.subject == capability:
                layout = page.layout.table_at(claim.line)
                column = layout.position("capability") if layout else None
                if name := (page.cell(claim.line, column) or "").strip():
                    yield name


def _capitalized(form: str, pages: Iterable[PageText]) -> str:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for page in pages:
        for word in _LATIN.findall(page.text):
            counts[word.casefold()][word] += 1

    def most_frequent(match: re.Match[str]) -> str:
        spellings = counts[match[0].casefold()] or Counter([match[0]])
        return spellings.most_common(1)[0][0]

    text = _LATIN.sub(most_frequent, form)
    return text[:1].upper() + text[1:]
