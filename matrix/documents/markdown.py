"""A page as headings, tables and texts, each with its line: markdown-it-py does the parsing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["Block", "Heading", "Table", "TableRow", "Text", "blocks"]

_DELIMITER = re.compile(r"^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?$")
_SECOND_DELIMITER = re.compile(r"^\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?$")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*\S")
_CONTAINER = re.compile(r"^[\s>]+")


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading, its text as written without markup's anchors."""

    line: int
    level: int
    text: str


@dataclasses.dataclass(frozen=True)
class TableRow:
    """A row of a table: its cells as written, Markdown and all."""

    line: int
    cells: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table and the headings that it stands under, outermost first."""

    header: TableRow
    rows: tuple[TableRow, ...]
    headings: tuple[Heading, ...]


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph, a bullet or a piece of HTML; `lines` are its lines as written."""

    line: int
    lines: tuple[str, ...]
    kind: Literal["paragraph", "bullet", "html"]
    headings: tuple[Heading, ...]

    @property
    def text(self) -> str:
        """The whole of it on one line."""
        return " ".join(line.strip() for line in self.lines)


Block: TypeAlias = Heading | Table | Text


def blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Yield what stands on a page, in its order. Code is left out; it promises nothing."""
    parser = MarkdownIt("commonmark").enable("table")
    tokens = parser.parse("\n".join(lines))
    path: list[Heading] = []
    in_items = 0
    in_table = False
    for number, token in enumerate(tokens):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "list_item_open":
            in_items += 1
        elif token.type == "list_item_close":
            in_items -= 1
        elif token.type == "table_open" and token.map:
            in_table = True
            yield from _tables(lines, token.map[0], token.map[1], tuple(path))
        elif token.type == "table_close":
            in_table = False
        elif token.type == "heading_open":
            heading = Heading(line, int(token.tag[1:]), _inline(tokens[number + 1]))
            path = [above for above in path if above.level < heading.level] + [heading]
            yield heading
        elif token.type == "paragraph_open" and not in_table:
            content = tuple(tokens[number + 1].content.split("\n"))
            kind: Literal["bullet", "paragraph"] = "bullet" if in_items else "paragraph"
            yield Text(line, content, kind, tuple(path))
        elif token.type == "html_block":
            content = tuple(token.content.rstrip("\n").split("\n"))
            yield Text(line, content, "html", tuple(path))


def _inline(token: Token) -> str:
    return " ".join(token.content.split())


def _tables(
    lines: Sequence[str], start: int, end: int, path: tuple[Heading, ...]
) -> Iterator[Table | Text]:
    """Yield the tables in one run of rows: a second header ends the first table.

    A line without any pipe is no row: Markdown makes it one, but it is the text that follows.
    """
    header: TableRow | None = None
    rows: list[TableRow] = []
    texts: list[Text] = []
    for index in range(start, end):
        written = _CONTAINER.sub("", lines[index]).rstrip()
        if (_SECOND_DELIMITER if header else _DELIMITER).match(written):
            second = rows.pop() if rows else None
            if second is not None and header is not None:
                yield Table(header, tuple(rows), path)
            header = second or header
            rows = []
        elif "|" not in written:
            if not _REFERENCE.match(written):
                texts.append(Text(index + 1, (written,), "paragraph", path))
        else:
            rows.append(TableRow(index + 1, _cells(written)))
    if header is not None:
        yield Table(header, tuple(rows), path)
    yield from texts


def _cells(written: str) -> tuple[str, ...]:
    """Split a row at its pipes (an escaped one is text), the closing pipe present or not."""
    parts = re.split(r"(?<!\\)\|", written)
    if not parts[0].strip():
        parts = parts[1:]
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    return tuple(part.strip() for part in parts)
