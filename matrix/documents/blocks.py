"""The blocks of a page in plain Markdown: headings, tables and texts, in page order.

Markdown is parsed by markdown-it-py. A table of HTML is a table, an item of an HTML list or of a
definition list is a bullet.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from matrix.documents.html_blocks import HtmlItem, HtmlTable, split_html

_FIRST_DELIMITER = re.compile(r"^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?$")
_SECOND_DELIMITER = re.compile(r"^\|?\s*:?-{3,}:?\s*(\|\s*:?-{3,}:?\s*)*\|?$")
_REFERENCE = re.compile(r"^\s{0,3}\[[^\]]+\]:\s*\S")
_CONTAINER = re.compile(r"^[\s>]+")
_DEFINITION = re.compile(r"^:\s+")
_MAX_NESTING = 200
"""Deepest nesting of lists and quotes that is read (the parser's default is 20)."""


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading and its text as written, without anchors."""

    line: int
    level: int
    text: str


@dataclasses.dataclass(frozen=True)
class TableRow:
    """A row of a table with its cells as written (Markdown)."""

    line: int
    cells: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """A table and the headings above it, outermost first."""

    header: TableRow
    rows: tuple[TableRow, ...]
    headings: tuple[Heading, ...]


@dataclasses.dataclass(frozen=True)
class Text:
    """A paragraph, a bullet or an HTML block; `lines` are its lines as written."""

    line: int
    lines: tuple[str, ...]
    kind: Literal["paragraph", "bullet", "html"]
    headings: tuple[Heading, ...]

    @property
    def text(self) -> str:
        """Return the whole text on one line."""
        return " ".join(line.strip() for line in self.lines)


Block: TypeAlias = Heading | Table | Text


def blocks(lines: Sequence[str]) -> Iterator[Block]:
    """Yield the blocks of a page in order, without code blocks."""
    markdown, html = split_html(lines)
    waiting = iter((*html, None))
    block = next(waiting)
    path: tuple[Heading, ...] = ()
    for item in itertools.chain(_markdown_blocks(markdown), (None,)):
        while block is not None and (item is None or block.line < item_line(item)):
            yield _html_block(block, path)
            block = next(waiting)
        if item is None:
            return
        if isinstance(item, Heading):
            path = headings_with(path, item)
        yield item


def headings_with(path: tuple[Heading, ...], heading: Heading) -> tuple[Heading, ...]:
    """Return the headings above what follows a heading, outermost first; `path` was above it."""
    return (*(above for above in path if above.level < heading.level), heading)


def item_line(block: Block) -> int:
    """Return the 1-based line on which a block begins."""
    return block.header.line if isinstance(block, Table) else block.line


def _html_block(block: HtmlTable | HtmlItem, path: tuple[Heading, ...]) -> Block:
    if isinstance(block, HtmlItem):
        return Text(block.line, (block.text,), "bullet", path)
    header, *rows = (TableRow(line, cells) for line, cells in block.rows)
    return Table(header, tuple(rows), path)


def _markdown_blocks(lines: Sequence[str]) -> Iterator[Block]:
    from markdown_it import MarkdownIt  # noqa: PLC0415 - slow to import, the facts need no parser

    parser = MarkdownIt("commonmark", {"maxNesting": _MAX_NESTING}).enable("table")
    # The text of inline markup is parsed by us, and only where it is wanted.
    tokens = parser.disable("inline").parse("\n".join(lines))
    path: tuple[Heading, ...] = ()
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
            yield from _tables(lines, token.map[0], token.map[1], path)
        elif token.type == "table_close":
            in_table = False
        elif token.type == "heading_open":
            heading = Heading(
                line, int(token.tag[1:]), " ".join(tokens[number + 1].content.split())
            )
            path = headings_with(path, heading)
            yield heading
        elif token.type == "paragraph_open" and not in_table:
            content = tuple(tokens[number + 1].content.split("\n"))
            if any(_DEFINITION.match(part) for part in content[1:]):
                yield from _definitions(line, content, path)
                continue
            kind: Literal["bullet", "paragraph"] = "bullet" if in_items else "paragraph"
            yield Text(line, content, kind, path)
        elif token.type == "html_block":
            content = tuple(token.content.rstrip("\n").split("\n"))
            yield Text(line, content, "html", path)


def _definitions(line: int, content: Sequence[str], path: tuple[Heading, ...]) -> Iterator[Text]:
    """Yield a bullet `term: definition` for each definition of a definition list."""
    term = ""
    for number, part in enumerate(content, start=line):
        if definition := _DEFINITION.match(part):
            yield Text(number, (f"{term}: {part[definition.end() :]}",), "bullet", path)
        else:
            term = part


def _tables(
    lines: Sequence[str], start: int, end: int, path: tuple[Heading, ...]
) -> Iterator[Table | Text]:
    """Yield the tables in one run of rows; a second header starts another table.

    Markdown takes a line without a pipe for a row; here it is text that follows the table.
    """
    header: TableRow | None = None
    rows: list[TableRow] = []
    texts: list[Text] = []
    for index in range(start, end):
        written = _CONTAINER.sub("", lines[index]).rstrip()
        if (_SECOND_DELIMITER if header else _FIRST_DELIMITER).match(written):
            next_header = rows.pop() if rows else None
            if next_header is not None and header is not None:
                yield Table(header, tuple(rows), path)
            header = next_header or header
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
    """Split a row at its unescaped pipes; the closing pipe is optional."""
    parts = re.split(r"(?<!\\)\|", written)
    if not parts[0].strip():
        parts = parts[1:]
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    return tuple(part.strip() for part in parts)
