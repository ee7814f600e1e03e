"""Edits of a document that keep every other byte, and unified diffs of bytes.

The diffs are as `patch -p0` and `git apply -p0` take them.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from matrix.documents.source import byte_order_mark

_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")
_PIPE = re.compile(r"(?<!\\)\|")
_DIFF_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_NO_END = b"\n\\ No newline at end of file\n"
_NUMBER = re.compile(r"[0-9\uff10-\uff19]+(?:[.\uff0e][0-9\uff10-\uff19]+)*")
_WIDE = str.maketrans(
    "0123456789.", "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff0e"
)
_NEXT_ROW = re.compile(r"</?tr\b|</table", re.IGNORECASE)
_HTML_CELL = re.compile(
    r"(?P<tag><t[dh]\b[^>]*>)(?P<content>.*?)(?=</?t[dhr]\b|</table|\Z)", re.IGNORECASE | re.DOTALL
)
_QUOTED = re.compile(r'[\x00-\x1f"\\\x7f]')


@dataclasses.dataclass(frozen=True)
class Replacement:
    """A replacement of the characters from `start` to before `end` of a line (1-based)."""

    line: int
    start: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Insertion:
    """A new line after `line`."""

    line: int
    text: str


@dataclasses.dataclass(frozen=True)
class Deletion:
    """A deletion of the lines from `line` to `last`, both included."""

    line: int
    last: int


Edit: TypeAlias = Replacement | Insertion | Deletion


@dataclasses.dataclass(frozen=True)
class FileText:
    """The lines of a file with their line ends, and its byte order mark."""

    mark: bytes
    codec: str
    lines: tuple[tuple[str, str], ...]

    def line(self, number: int) -> str:
        """Return a line (1-based) without its end, "" beyond the last."""
        return self.lines[number - 1][0] if number <= len(self.lines) else ""

    def data(self) -> bytes:
        """Return the file's bytes."""
        text = "".join(text + end for text, end in self.lines)
        return self.mark + text.encode(self.codec)

    def with_edits(self, edits: Iterable[Edit]) -> FileText:
        """Return the file with these edits, which must not overlap."""
        lines = list(self.lines)
        # From the end to the beginning, so that the positions of the others stay right.
        for edit in sorted(edits, key=_position)[::-1]:
            if isinstance(edit, Replacement):
                text, end = lines[edit.line - 1]
                lines[edit.line - 1] = (text[: edit.start] + edit.text + text[edit.end :], end)
            elif isinstance(edit, Insertion):
                text, end = lines[edit.line - 1]
                # After a last line without an end, the new one is the last without an end.
                lines[edit.line - 1 : edit.line] = [
                    (text, end or self._usual_end),
                    (edit.text, end),
                ]
            else:
                del lines[edit.line - 1 : edit.last]
        return dataclasses.replace(self, lines=tuple(lines))

    @property
    def _usual_end(self) -> str:
        counts = Counter(end for _, end in self.lines if end)
        return counts.most_common(1)[0][0] if counts else "\n"


def parse_file_text(data: bytes) -> FileText:
    """Return the lines of a document whose encoding was checked when it was read."""
    mark, codec = byte_order_mark(data)
    text = data[len(mark) :].decode(codec)
    lines = [(match[1], match[2]) for match in _LINE.finditer(text)]
    # The pattern also matches the empty text behind the last line end.
    while lines and lines[-1] == ("", ""):
        lines.pop()
    return FileText(mark, codec, tuple(lines))


def _position(edit: Edit) -> tuple[int, int, int]:
    if isinstance(edit, Replacement):
        return edit.line, 1, edit.start
    # A line is inserted after a line before that line itself is changed.
    return edit.line, 2 if isinstance(edit, Insertion) else 0, 0


def cell_spans(line: str) -> list[tuple[int, int]]:
    """Return the spans of a row's cells with their padding, split as the table reader splits."""
    pipes = [match.start() for match in _PIPE.finditer(line)]
    starts, ends = [0, *(pipe + 1 for pipe in pipes)], [*pipes, len(line)]
    spans = list(zip(starts, ends, strict=True))
    if not line[slice(*spans[0])].strip(" \t>"):
        spans = spans[1:]
    if spans and not line[slice(*spans[-1])].strip():
        spans = spans[:-1]
    return spans


def html_cells(lines: Sequence[str], line: int) -> Iterator[tuple[Replacement, str]]:
    """Yield the cells of the HTML row that begins on a line (1-based), each with its place.

    The place is that of the text without white space around it, as an edit. Yields nothing more
    after a cell whose text stands on several lines, or that spans several rows or columns.
    """
    text = "\n".join(lines[line - 1 :])
    start = text.find("<tr")
    end = _NEXT_ROW.search(text, start + 3)
    for match in _HTML_CELL.finditer(text, max(start, 0), end.start() if end else len(text)):
        content = match["content"].strip()
        if "\n" in content or "span=" in match["tag"].casefold():
            return
        first = match.start("content") + match["content"].find(content)
        number = line + text.count("\n", 0, first)
        column = first - (text.rfind("\n", 0, first) + 1)
        yield Replacement(number, column, column + len(content), content), content


def column_cells(rows: Iterable[str], column: int) -> list[str]:
    """Return the cells of a column with their padding, of the rows that have it."""
    return [row[slice(*spans[column])] for row in rows if len(spans := cell_spans(row)) > column]


def replace_number(text: str, old: str, new: str) -> str | None:
    """Return a text with another version; None unless it has the old one exactly once.

    Versions in wide digits stay wide.
    """
    matches = [
        match for match in _NUMBER.finditer(text) if unicodedata.normalize("NFKC", match[0]) == old
    ]
    if len(matches) != 1:
        return None
    (match,) = matches
    written = new if match[0] == old else new.translate(_WIDE)
    return text[: match.start()] + written + text[match.end() :]


def padding(cell: str) -> str:
    """Return the padding before the text of a cell, a space for an empty one."""
    return cell[: len(cell) - len(cell.lstrip())] if cell.strip() else " "


def display_width(text: str) -> int:
    """Return the number of columns that a text takes where wide letters take two."""
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )


def refit_cell(cell: str, text: str, others: Sequence[str], lead: str = " ") -> str:
    """Return a cell with another text.

    Where cells of the same column (`others`) are as wide, the width is kept if possible, so that
    the pipes stay in line. `lead` is the padding before a text in a cell that was empty.
    """
    old = cell.strip()
    if old:
        start = cell.index(old)
        before, after = cell[:start], cell[start + len(old) :]
    else:
        before = lead if cell and text else ""
        after = " " if cell else ""
    if display_width(cell) in map(display_width, others) or not old:
        room = display_width(cell) - display_width(before + text)
        return before + text + " " * max(room, 1 if after else 0)
    return before + text + after


def format_row(texts: Sequence[str], model: str, rows: Sequence[str]) -> str:
    """Return a line with these texts as cells, formatted as the row `model` is.

    `rows` are all lines of the table: a cell gets the most common width of its column.
    """
    line, position = "", 0
    for number, ((start, end), text) in enumerate(zip(cell_spans(model), texts, strict=True)):
        cell = model[start:end]
        padded = padding(cell) + text
        if end < len(model):
            padded += " " if cell.endswith(" ") or not cell.strip() else ""
            widths = Counter(map(display_width, column_cells(rows, number))).most_common(1)
            padded += " " * ((widths[0][0] if widths else 0) - display_width(padded))
        line += model[position:start] + padded
        position = end
    return line + model[position:]


def diff_root(paths: Sequence[Path], cwd: Path) -> Path:
    """Return the folder that names in the diffs are relative to: `cwd`, if it has all the files."""
    absolute = [Path(os.path.normpath(cwd / path)) for path in paths]
    if all(path.is_relative_to(cwd) for path in absolute):
        return cwd
    return Path(os.path.commonpath([path.parent for path in absolute]))


def diff_name(path: Path, root: Path, cwd: Path) -> str:
    """Return the name of a file in the diffs, relative to `diff_root`."""
    return Path(os.path.normpath(cwd / path)).relative_to(root).as_posix()


def unified_diff(old: bytes, new: bytes, name: str) -> bytes:
    """Return the diff from `old` to `new` of a file, b"" where nothing is changed.

    A carriage return belongs to its line, and a last line may have no end.
    """
    if old == new:
        return b""
    header = _header(name)
    return b"".join((b"--- " + header, b"+++ " + header, *_hunks(old, new)))


def _hunks(old: bytes, new: bytes) -> Iterator[bytes]:
    before, after = _DIFF_LINE.findall(old), _DIFF_LINE.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for group in matcher.get_grouped_opcodes(3):
        first, last = group[0], group[-1]
        ranges = _hunk_range(first[1], last[2]), _hunk_range(first[3], last[4])
        yield "@@ -{} +{} @@\n".format(*ranges).encode()
        for tag, low, high, new_low, new_high in group:
            if tag == "equal":
                yield from (_diff_line(b" ", line) for line in before[low:high])
                continue
            yield from (_diff_line(b"-", line) for line in before[low:high])
            yield from (_diff_line(b"+", line) for line in after[new_low:new_high])


def _hunk_range(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _diff_line(sign: bytes, line: bytes) -> bytes:
    return sign + line if line.endswith(b"\n") else sign + line + _NO_END


def _header(name: str) -> bytes:
    if _QUOTED.search(name):
        escaped = _QUOTED.sub(lambda match: f"\\{ord(match[0]):03o}", name)
        return f'"{escaped}"\n'.encode()
    # A tab ends a name that has a space in it.
    return os.fsencode(name) + (b"\t\n" if " " in name else b"\n")
