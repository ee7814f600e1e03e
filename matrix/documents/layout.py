"""The layout of a page: its tables with the roles of their columns, and its texts.

Used to edit pages; `matrix.documents.document` reads their claims.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from matrix.documents.markdown import Heading, Table, Text, blocks
from matrix.documents.other_tracers import without_other_tracers
from matrix.documents.source import load_source, plain_markdown
from matrix.documents.table_reader import Column
from matrix.documents.table_registry import read_columns
from matrix.documents.vocabulary import Vocabulary, load_vocabulary


@dataclasses.dataclass(frozen=True)
class TableLayout:
    """A table and the role of each of its columns."""

    table: Table
    columns: tuple[Column, ...]

    def position(self, role: str, capability: str = "") -> int | None:
        """Return the index of the column with a role (for a capability), None without one."""
        for number, column in enumerate(self.columns):
            if column.role == role and column.capability == capability:
                return number
        return None


@dataclasses.dataclass(frozen=True)
class PageLayout:
    """A page's tables and texts in page order, with the vocabulary of its language.

    Cells are from the page as plain Markdown, so their columns in the file's lines may differ.
    """

    vocabulary: Vocabulary
    tables: tuple[TableLayout, ...]
    texts: tuple[Text, ...]

    def table_at(self, line: int) -> TableLayout | None:
        """Return the table that has a row on a line."""
        for layout in self.tables:
            if any(row.line == line for row in layout.table.rows):
                return layout
        return None

    def text_at(self, line: int) -> Text | None:
        """Return the text that contains a line."""
        for text in self.texts:
            if text.line <= line < text.line + len(text.lines):
                return text
        return None


def read_layout(path: Path, language: str) -> PageLayout:
    """Return the layout of a page; raise `UnreadableInputError` if it is not text."""
    source = load_source(path)
    lines, tags = plain_markdown(source.lines)
    vocabulary = load_vocabulary(language)
    lines, _ = without_other_tracers(lines, tags, vocabulary)
    tables: list[TableLayout] = []
    texts: list[Text] = []
    for block in blocks(lines):
        if isinstance(block, Table):
            tables.append(TableLayout(block, read_columns(block, vocabulary)))
        elif not isinstance(block, Heading):
            texts.append(block)
    return PageLayout(vocabulary, tuple(tables), tuple(texts))
