"""Documents to correct: their files, their layout, and the words that they use."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from matrix.documents.claim_ids import document_names
from matrix.documents.document import (
    PageLayout,
    ReadDocument,
    TableLayout,
    read_documents,
    read_layout,
)
from matrix.documents.partials import find_partial
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
    html_cells,
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

    `other_lines` are the other lines of the table. A row of HTML has its cells in `html`, each
    with its place: it is not a line that could be copied or deleted.
    """

    line: int
    text: str
    spans: tuple[tuple[int, int], ...]
    layout: TableLayout
    other_lines: Sequence[str]
    html: tuple[tuple[Replacement, str], ...] = ()

    def cell(self, column: int) -> str:
        """Return a cell as the file has it, with its padding."""
        return self.html[column][1] if self.html else self.text[slice(*self.spans[column])]

    def replace_cell(self, column: int, text: str, lead: str = " ") -> Replacement:
        """Return the edit that replaces the text of a cell."""
        if self.html:
            return dataclasses.replace(self.html[column][0], text=text)
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

    `problems` are the messages, without line numbers, about what was not understood. `partials` are
    the pages of the files that it includes, by the names in its tags, None where none were given.
    Such a page has the claims of the document that includes it (`host`, "" for a document; the
    first of several), with the partial's name as their document and their lines in it; `as_read`
    are the same as claims of that document. `sha256` is the digest of the document.
    """

    name: str
    path: Path
    language: str
    file: FileText
    layout: PageLayout
    claims: tuple[Claim, ...]
    problems: tuple[str, ...] = ()
    partials: Mapping[str, PageText] | None = None
    host: str = ""
    as_read: tuple[Claim, ...] = ()
    sha256: str = ""

    @property
    def joined(self) -> tuple[Claim, ...]:
        """Return the claims with those of its partials; a partial by itself has none."""
        if self.host:
            return ()
        parts = (self.partials or {}).values()
        own = (part.claims for part in parts if part.host == self.name)
        return (*self.claims, *itertools.chain.from_iterable(own))

    def row(self, line: int) -> PlacedRow | None:
        """Return the row on a line; None where its cells cannot be located in the file."""
        layout = self.layout.table_at(line)
        if layout is None:
            return None
        text = self.file.line(line)
        row = next(row for row in layout.table.rows if row.line == line)
        if not text.lstrip(" \t>").startswith("|") and "|" not in text:
            html = tuple(html_cells([text for text, _ in self.file.lines], line))
            same = len(html) == len(row.cells) <= len(layout.columns)
            return PlacedRow(line, "", (), layout, (), html) if same else None
        spans = tuple(cell_spans(text))
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
        if row is None or column is None or column >= len(row.html or row.spans):
            return None
        return row.cell(column)

    @functools.cached_property
    def text(self) -> str:
        """Return the words of the page."""
        return plain(" ".join(text for text, _ in self.file.lines))


def read_pages(
    paths: Sequence[Path], *, lenient: bool = False, partials: Path | None = None
) -> tuple[ReadDocument, dict[str, PageText]]:
    """Return the claims of the documents, and by name the documents and partials that have any.

    Raises the errors of `read_documents`, and `UnreadableInputError` for a file that changes.
    """
    unique = list({path.absolute(): path for path in paths}.values())
    reading = read_documents(unique, lenient=lenient, partials=partials)
    pages: dict[str, PageText] = {}
    parts: dict[str, PageText] = {}
    for path, name in zip(unique, document_names(unique), strict=True):
        claims = [claim for claim in reading.claims if claim.document == name]
        if not claims:
            continue
        if load_source(path).sha256 != claims[0].sha256:
            raise UnreadableInputError(
                f"{path} was changed while it was read", "Run the command again."
            )
        included = dict.fromkeys(partial for claim in claims if (partial := partial_of(claim)))
        for partial in included:
            found = find_partial(partials, partial) if partials else None
            if found is not None and partial not in parts:
                own = [claim for claim in claims if partial_of(claim) == partial]
                parts[partial] = _page(partial, found, own, reading, host=name)
        of_page = {partial: parts[partial] for partial in included if partial in parts}
        pages[name] = dataclasses.replace(
            _page(name, path, claims, reading), partials=of_page if partials else None
        )
    return reading, pages | parts


def partial_of(claim: Claim) -> str:
    """Return the name of the partial that a claim is read from, "" for the document itself."""
    return (claim.get("partial") or "").rpartition(":")[0]


def in_partial(claim: Claim) -> Claim:
    """Return a claim of a partial with its place in that file, under the same id."""
    name, _, line = (claim.get("partial") or "").rpartition(":")
    return dataclasses.replace(claim, document=name, line=int(line))


def _page(
    name: str, path: Path, claims: Sequence[Claim], reading: ReadDocument, host: str = ""
) -> PageText:
    problems = (*reading.problems, *reading.notices)
    if host:
        own = tuple(map(in_partial, claims))
    else:
        own = tuple(claim for claim in claims if not partial_of(claim))
    return PageText(
        name=name,
        path=path,
        language=claims[0].language,
        file=parse_file_text(path.read_bytes()),
        layout=read_layout(path, claims[0].language),
        claims=own,
        problems=tuple(problem.message for problem in problems if problem.document == name),
        host=host,
        as_read=tuple(claims) if host else own,
        sha256=claims[0].sha256,
    )


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
