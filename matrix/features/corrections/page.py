"""A document that is to be changed, and the verdicts on what it promises.

The documents that are to be changed, read from their files.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from matrix.documents.claim_ids import document_names
from matrix.documents.document import ReadDocument, read_documents
from matrix.documents.layout import PageLayout, TableLayout, read_layout
from matrix.documents.source import load_source
from matrix.documents.text import plain
from matrix.errors import UnreadableInputError
from matrix.features.corrections.edit import FileText, Replacement, cell_spans, refitted, sheet_of
from matrix.features.corrections.observed import ObservedFindings
from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, Verdict

__all__ = ["ClaimCase", "PageText", "PlacedRow", "read_papers"]

_NUMBER = re.compile(r"[0-9\uff10-\uff19]+(?:[.\uff0e][0-9\uff10-\uff19]+)*")
_WIDE = str.maketrans(
    "0123456789.", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff0e"
)


@dataclasses.dataclass(frozen=True)
class PlacedRow:
    """A row of a table with its cells in the file's own line."""

    line: int
    text: str
    spans: tuple[tuple[int, int], ...]
    laid: TableLayout
    column_texts: Sequence[Sequence[str]]

    def cell(self, column: int) -> str:
        """Return a cell as the file has it, with its padding."""
        return self.text[slice(*self.spans[column])]

    def swap(self, column: int, text: str, lead: str = " ") -> Replacement:
        """Return the change that puts `text` into a cell and nothing else."""
        start, end = self.spans[column]
        others = self.column_texts[column]
        return Replacement(self.line, start, end, refitted(self.cell(column), text, others, lead))

    def swap_version(self, column: int, old: str, new: str) -> Replacement | None:
        """Return the change of a version within a cell; None unless it stands there just once."""
        cell = self.cell(column)
        found = [
            match
            for match in _NUMBER.finditer(cell)
            if unicodedata.normalize("NFKC", match[0]) == old
        ]
        if len(found) != 1:
            return None
        match = found[0]
        wide = match[0] != old
        text = cell[: match.start()] + (new.translate(_WIDE) if wide else new) + cell[match.end() :]
        return self.swap(column, text.strip())


@dataclasses.dataclass(frozen=True, eq=False)
class PageText:
    """One document: the file, how it is laid out, and what it promises.

    `problems` are what of it was not understood, as text without lines.
    """

    name: str
    path: Path
    language: str
    sheet: FileText
    layout: PageLayout
    claims: tuple[Claim, ...]
    problems: tuple[str, ...] = ()

    def row(self, line: int) -> PlacedRow | None:
        """Return the row on a line; None where its cells cannot be told apart in the file."""
        laid = self.layout.table_at(line)
        if laid is None:
            return None
        text = self.sheet.line(line)
        spans = tuple(cell_spans(text))
        row = next(row for row in laid.table.rows if row.line == line)
        if len(spans) != len(row.cells) or len(spans) > len(laid.columns):
            return None
        return PlacedRow(line, text, spans, laid, self._columns(laid, line))

    def lines_of(self, laid: TableLayout) -> list[str]:
        """Return the lines of a table as the file has them: header, delimiter, rows."""
        first = laid.table.header.line
        numbers = [first, first + 1, *(row.line for row in laid.table.rows)]
        return [self.sheet.line(number) for number in numbers]

    def written(self, line: int, column: int) -> str:
        """Return the words of a cell as the file has them, "" where they cannot be told."""
        row = self.row(line)
        if row is None or column >= len(row.spans):
            return ""
        return row.cell(column).strip()

    def alone_on_line(self, claim: Claim) -> bool:
        """Return whether a row is about one subject only: lines joined in a cell are not."""
        return {one.subject for one in self.claims if one.line == claim.line} == {claim.subject}

    @functools.cached_property
    def text(self) -> str:
        """Return the words of the page."""
        return plain(" ".join(text for text, _ in self.sheet.lines))

    def _columns(self, laid: TableLayout, but: int) -> list[list[str]]:
        """Return the cells of each column, but for those of one line."""
        first = laid.table.header.line
        numbers = [first, first + 1, *(row.line for row in laid.table.rows)]
        columns: list[list[str]] = [[] for _ in laid.columns]
        for number in numbers:
            line = self.sheet.line(number)
            if number != but:
                for column, span in zip(columns, cell_spans(line), strict=False):
                    column.append(line[slice(*span)])
        return columns


@dataclasses.dataclass(frozen=True, eq=False)
class ClaimCase:
    """Everything that suggestions are made from."""

    papers: Mapping[str, PageText]
    verdicts: Mapping[str, Verdict]
    seen: ObservedFindings

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of all documents."""
        return tuple(claim for paper in self.papers.values() for claim in paper.claims)

    def outcome(self, claim: Claim) -> Outcome:
        """Return what was found of a claim; one that nobody asked about is unverified."""
        verdict = self.verdicts.get(claim.id)
        return verdict.outcome if verdict else Outcome.UNVERIFIED

    def refuted(self, claims: Iterable[Claim]) -> list[Claim]:
        """Return those of the claims that are refuted."""
        return [claim for claim in claims if self.outcome(claim) is Outcome.REFUTED]


def read_papers(
    paths: Sequence[Path], *, lenient: bool = False
) -> tuple[ReadDocument, dict[str, PageText]]:
    """Return what the documents promise, and those of them that promise anything, by name.

    Raises what reading raises.
    """
    unique = list({path.absolute(): path for path in paths}.values())
    reading = read_documents(unique, lenient=lenient)
    papers = {}
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
        papers[name] = PageText(
            name=name,
            path=path,
            language=claims[0].language,
            sheet=sheet_of(path.read_bytes()),
            layout=read_layout(path, claims[0].language),
            claims=claims,
            problems=tuple(one.message for one in problems if one.document == name),
        )
    return reading, papers
