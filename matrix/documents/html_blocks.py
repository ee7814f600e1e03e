"""Tables and lists that a page writes in HTML, with the lines on which their rows and items begin.

Inline HTML in cells stays as it is, but for links, which become Markdown: `<a href="u">x</a>` is
`[x](u)`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from typing import TypeAlias

_START = re.compile(r"^\s*<(table|ul|ol|dl)\b", re.IGNORECASE)
_FENCE = re.compile(r"^\s{0,3}(?:```|~~~)")
_MAX_SPAN = 50
"""Most rows or columns that one cell may span."""


@dataclasses.dataclass(frozen=True)
class HtmlTable:
    """A table: each row with its 1-based line and its cells, the first of them the header."""

    rows: tuple[tuple[int, tuple[str, ...]], ...]

    @property
    def line(self) -> int:
        """Return the line of the header."""
        return self.rows[0][0]


@dataclasses.dataclass(frozen=True)
class HtmlItem:
    """An item of a list, or `term: definition`, with its 1-based line."""

    line: int
    text: str


HtmlBlock: TypeAlias = HtmlTable | HtmlItem


def split_html(lines: Sequence[str]) -> tuple[list[str], list[HtmlBlock]]:
    """Return the lines with tables and lists of HTML blanked, and those; code blocks stay."""
    remaining = list(lines)
    found: list[HtmlBlock] = []
    in_code = False
    after = 0
    for index, line in enumerate(lines):
        if index < after:
            continue
        if _FENCE.match(line):
            in_code = not in_code
        if in_code or (start := _START.match(line)) is None:
            continue
        after = _end(lines, index, start[1].casefold())
        found += _read("\n".join(lines[index:after]), index)
        remaining[index:after] = [""] * (after - index)
    return remaining, found


def _end(lines: Sequence[str], start: int, tag: str) -> int:
    """Return the index after the line that closes the element, or of the next heading."""
    pattern = re.compile(rf"<(/?){tag}\b", re.IGNORECASE)
    depth = 0
    for index in range(start, len(lines)):
        if lines[index].startswith("#"):
            return index
        depth += sum(-1 if match[1] else 1 for match in pattern.finditer(lines[index]))
        if depth <= 0:
            return index + 1
    return len(lines)


def _read(text: str, line: int) -> Iterator[HtmlBlock]:
    parser = _Parser(line)
    parser.feed(text)
    parser.close()
    yield from parser.finish()


class _Parser(HTMLParser):
    """Collect rows, cells and items; a cell or item ends where the next one begins."""

    def __init__(self, line: int) -> None:
        super().__init__(convert_charrefs=False)
        self._line = line
        self._blocks: list[HtmlBlock] = []
        self._rows: list[tuple[int, list[str]]] = []
        self._spans: dict[int, tuple[int, str]] = {}
        self._parts: list[str] | None = None
        self._kind = ""
        self._columns = 1
        self._below = 0
        self._begins = 0
        self._term = ""
        self._links: list[str] = []

    def finish(self) -> list[HtmlBlock]:
        self._close_table()
        return self._blocks

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        if tag == "tr":
            self._close_row()
            self._rows.append((self._here(), []))
        elif tag in {"td", "th", "li", "dt", "dd"}:
            self._close_part()
            self._open_part(tag, attributes)
        elif tag == "a":
            self._links.append(attributes.get("href", ""))
            self._add("[")
        elif tag not in {"table", "thead", "tbody", "tfoot", "ul", "ol", "dl", "p", "div"}:
            self._add(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag, attrs
        self._add(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and self._links:
            self._add(f"]({self._links.pop()})")
        elif tag in {"td", "th", "li", "dt", "dd", "tr", "ul", "ol", "dl"}:
            self._close_part()
        elif tag == "table":
            self._close_table()
        elif tag not in {"thead", "tbody", "tfoot", "p", "div", "a"}:
            self._add(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._add(data)

    def handle_entityref(self, name: str) -> None:
        self._add(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._add(f"&#{name};")

    def _here(self) -> int:
        return self._line + self.getpos()[0]

    def _add(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(text)

    def _open_part(self, tag: str, attributes: Mapping[str, str]) -> None:
        self._parts, self._kind, self._begins = [], tag, self._here()
        self._columns = _span(attributes.get("colspan", ""))
        self._below = _span(attributes.get("rowspan", "")) - 1

    def _close_part(self) -> None:
        if self._parts is None:
            return
        text = " ".join("".join(self._parts).split())
        self._parts = None
        if self._kind in {"td", "th"}:
            self._add_cell(text)
        elif self._kind == "dt":
            self._term = text
        elif text:
            written = f"{self._term}: {text}" if self._kind == "dd" else text
            self._blocks.append(HtmlItem(self._begins, written))

    def _add_cell(self, text: str) -> None:
        if not self._rows:
            self._rows.append((self._begins, []))
        cells = self._rows[-1][1]
        self._fill(cells)
        for _ in range(self._columns):
            if self._below:
                self._spans[len(cells)] = (self._below, text)
            cells.append(text)

    def _fill(self, cells: list[str]) -> None:
        """Repeat the cells of rows above that span this one too."""
        while len(cells) in self._spans:
            column = len(cells)
            left, text = self._spans.pop(column)
            cells.append(text)
            if left > 1:
                self._spans[column] = (left - 1, text)

    def _close_row(self) -> None:
        self._close_part()
        if self._rows:
            self._fill(self._rows[-1][1])

    def _close_table(self) -> None:
        self._close_row()
        rows = tuple((line, tuple(cells)) for line, cells in self._rows if cells)
        if rows:
            self._blocks.append(HtmlTable(rows))
        self._rows, self._spans = [], {}


def _span(written: str) -> int:
    return min(int(written), _MAX_SPAN) if written.isdigit() and int(written) else 1
