"""Where things stand on a page: its tables with what their columns are for, and its texts.

For whoever changes a page. What the page promises is the business of `matrix.reading.document`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from matrix.documents.markdown import Heading, Table, Text, blocks
from matrix.documents.other_tracers import without_other_tracers
from matrix.documents.source import load_source, plain_markdown
from matrix.documents.table_reader import Column
from matrix.documents.table_registry import columns_of
from matrix.documents.vocabulary import Vocabulary, load_vocabulary

__all__ = ["PageLayout", "TableLayout", "read_layout"]


@dataclasses.dataclass(frozen=True)
class TableLayout:
    """A table and what each of its columns is for."""

    table: Table
    columns: tuple[Column, ...]

    def position(self, role: str, capability: str = "") -> int | None:
        """Return the column with a role (for a capability), None where there is none."""
        for number, column in enumerate(self.columns):
            if column.role == role and column.capability == capability:
                return number
        return None


@dataclasses.dataclass(frozen=True)
class PageLayout:
    """A page's tables and texts, in its order, with the words of its language.

    The cells are those of the page as plain Markdown; their places in the file's own lines are
    still to be found.
    """

    vocabulary: Vocabulary
    tables: tuple[TableLayout, ...]
    texts: tuple[Text, ...]

    def table_at(self, line: int) -> TableLayout | None:
        """Return the table that has a row on a line."""
        for laid in self.tables:
            if any(row.line == line for row in laid.table.rows):
                return laid
        return None

    def text_at(self, line: int) -> Text | None:
        """Return the text that a line is of."""
        for text in self.texts:
            if text.line <= line < text.line + len(text.lines):
                return text
        return None


def read_layout(path: Path, language: str) -> PageLayout:
    """Return how a page is laid out; raise `UnreadableInputError` where it is no text."""
    source = load_source(path)
    lines, tags = plain_markdown(source.lines)
    vocabulary = load_vocabulary(language)
    lines, _ = without_other_tracers(lines, tags, vocabulary)
    tables: list[TableLayout] = []
    texts: list[Text] = []
    for block in blocks(lines):
        if isinstance(block, Table):
            tables.append(TableLayout(block, columns_of(block, vocabulary)))
        elif not isinstance(block, Heading):
            texts.append(block)
    return PageLayout(vocabulary, tuple(tables), tuple(texts))
