"""Documents to correct: their files, their layout, and the verdicts on their claims."""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
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
from matrix.documents.text import plain
from matrix.errors import UnreadableInputError
from matrix.features.corrections.edit import (
    FileText,
    Replacement,
    cell_spans,
    parse_file_text,
    refit_cell,
)
from matrix.features.corrections.observed import ObservedFindings
from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, Verdict

_NUMBER = re.compile(r"[0-9\uff10-\uff19]+(?:[.\uff0e][0-9\uff10-\uff19]+)*")
_WIDE = str.maketrans(
    "0123456789.", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff0e"
)


@dataclasses.dataclass(frozen=True)
class PlacedRow:
    """A row of a table with the positions of its cells in the line of the file."""

    line: int
    text: str
    spans: tuple[tuple[int, int], ...]
    layout: TableLayout
    column_texts: Sequence[Sequence[str]]

    def cell(self, column: int) -> str:
        """Return a cell as the file has it, with its padding."""
        return self.text[slice(*self.spans[column])]

    def replace_cell(self, column: int, text: str, lead: str = " ") -> Replacement:
        """Return the edit that replaces the text of a cell."""
        start, end = self.spans[column]
        others = self.column_texts[column]
        return Replacement(self.line, start, end, refit_cell(self.cell(column), text, others, lead))

    def replace_version(self, column: int, old: str, new: str) -> Replacement | None:
        """Return the edit of a version within a cell; None unless the cell has it exactly once."""
        cell = self.cell(column)
        matches = [
            match
            for match in _NUMBER.finditer(cell)
            if unicodedata.normalize("NFKC", match[0]) == old
        ]
        if len(matches) != 1:
            return None
        (match,) = matches
        written = new if match[0] == old else new.translate(_WIDE)
        text = cell[: match.start()] + written + cell[match.end() :]
        return self.replace_cell(column, text.strip())


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
        if len(spans) != len(row.cells) or len(spans) > len(layout.columns):
            return None
        return PlacedRow(line, text, spans, layout, self._columns(layout, line))

    def lines_of(self, layout: TableLayout) -> list[str]:
        """Return the lines of a table as the file has them: header, delimiter, rows."""
        return [self.file.line(number) for number in _line_numbers(layout)]

    def cell_text(self, line: int, column: int) -> str:
        """Return the text of a cell as the file has it, "" where it cannot be located."""
        row = self.row(line)
        if row is None or column >= len(row.spans):
            return ""
        return row.cell(column).strip()

    def alone_on_line(self, claim: Claim) -> bool:
        """Return whether all claims on the line have one subject: no lines joined in a cell."""
        subjects = {other.subject for other in self.claims if other.line == claim.line}
        return subjects == {claim.subject}

    @functools.cached_property
    def text(self) -> str:
        """Return the words of the page."""
        return plain(" ".join(text for text, _ in self.file.lines))

    def _columns(self, layout: TableLayout, excluded: int) -> list[list[str]]:
        """Return the cells of each column, without those of the excluded line."""
        columns: list[list[str]] = [[] for _ in layout.columns]
        for number in _line_numbers(layout):
            line = self.file.line(number)
            if number != excluded:
                for column, span in zip(columns, cell_spans(line), strict=False):
                    column.append(line[slice(*span)])
        return columns


def _line_numbers(layout: TableLayout) -> list[int]:
    first = layout.table.header.line
    return [first, first + 1, *(row.line for row in layout.table.rows)]


@dataclasses.dataclass(frozen=True, eq=False)
class ClaimCase:
    """All that corrections are derived from: pages by name, verdicts by claim id, findings."""

    pages: Mapping[str, PageText]
    verdicts: Mapping[str, Verdict]
    observed: ObservedFindings

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of all documents."""
        return tuple(claim for page in self.pages.values() for claim in page.claims)

    def outcome(self, claim: Claim) -> Outcome:
        """Return the outcome of a claim; one without a verdict is unverified."""
        verdict = self.verdicts.get(claim.id)
        return verdict.outcome if verdict else Outcome.UNVERIFIED

    def refuted(self, claims: Iterable[Claim]) -> list[Claim]:
        """Return those of the claims that are refuted."""
        return [claim for claim in claims if self.outcome(claim) is Outcome.REFUTED]


def read_pages(
    paths: Sequence[Path], *, lenient: bool = False
) -> tuple[ReadDocument, dict[str, PageText]]:
    """Return the claims of the documents, and by name the documents that have any.

    Raises the errors of `read_documents`, and `UnreadableInputError` for a file that changes.
    """
    unique = list({path.absolute(): path for path in paths}.values())
    reading = read_documents(unique, lenient=lenient)
    pages = {}
    for path, name in zip(unique, document_names(unique), strict=True):
        claims = tuple(claim for claim in reading.claims if claim.document == name)
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
