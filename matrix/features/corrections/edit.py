"""A document as the file has it: every byte kept but for what is changed on purpose.

The cells of a table's row in the line as the file has it: where they are, how wide they are.

Unified diffs of bytes, as `patch -p0` and `git apply -p0` take them.
"""

from __future__ import annotations

import codecs
import dataclasses
import difflib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

__all__ = [
    "Deletion",
    "FileText",
    "Insertion",
    "Replacement",
    "Splice",
    "cell_spans",
    "diff_name",
    "diff_root",
    "new_row",
    "refitted",
    "sheet_of",
    "unified_diff",
    "width",
]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


@dataclasses.dataclass(frozen=True)
class Replacement:
    """Other text in place of some of a line's (1-based): from `start` to before `end`."""

    line: int
    start: int
    end: int
    text: str


@dataclasses.dataclass(frozen=True)
class Insertion:
    """A new line after a line."""

    line: int
    text: str


@dataclasses.dataclass(frozen=True)
class Deletion:
    """Lines that go, from `line` to `last`, both included."""

    line: int
    last: int


Splice: TypeAlias = Replacement | Insertion | Deletion


@dataclasses.dataclass(frozen=True)
class FileText:
    """The lines of a file with their ends, the byte order mark apart."""

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

    def with_splices(self, splices: Iterable[Splice]) -> FileText:
        """Return the file with these changes, which must not touch each other."""
        lines = list(self.lines)
        # From the end to the beginning, so that the places of the others stay right.
        placed = sorted(
            ((_place(splice), number, splice) for number, splice in enumerate(splices)),
            key=lambda one: one[:2],
            reverse=True,
        )
        for _, _, splice in placed:
            if isinstance(splice, Replacement):
                text, end = lines[splice.line - 1]
                changed = text[: splice.start] + splice.text + text[splice.end :]
                lines[splice.line - 1] = (changed, end)
            elif isinstance(splice, Insertion):
                text, end = lines[splice.line - 1]
                # After a last line without an end, the new one is the last without an end.
                lines[splice.line - 1 : splice.line] = [
                    (text, end or self._usual_end),
                    (splice.text, end),
                ]
            else:
                del lines[splice.line - 1 : splice.last]
        return dataclasses.replace(self, lines=tuple(lines))

    @property
    def _usual_end(self) -> str:
        counts = Counter(end for _, end in self.lines if end)
        return counts.most_common(1)[0][0] if counts else "\n"


def sheet_of(data: bytes) -> FileText:
    """Return the lines of a document that was read already: the encoding is known to be right."""
    mark, codec = next(((m, c) for m, c in _MARKS if data.startswith(m)), (b"", "utf-8"))
    text = data[len(mark) :].decode(codec)
    lines = [(found[1], found[2]) for found in _LINE.finditer(text)]
    # The pattern also finds nothing behind the last end.
    while lines and lines[-1] == ("", ""):
        lines.pop()
    return FileText(mark, codec, tuple(lines))


def _place(splice: Splice) -> tuple[int, int, int]:
    if isinstance(splice, Replacement):
        return splice.line, 1, splice.start
    # What comes after a line is put there before the line itself is changed.
    return splice.line, 2 if isinstance(splice, Insertion) else 0, 0


_PIPE = re.compile(r"(?<!\\)\|")


def cell_spans(line: str) -> list[tuple[int, int]]:
    """Return where the cells of a row are, their padding with them, as the reading splits them."""
    pipes = [found.start() for found in _PIPE.finditer(line)]
    starts, ends = [0, *(pipe + 1 for pipe in pipes)], [*pipes, len(line)]
    spans = list(zip(starts, ends, strict=True))
    if not line[slice(*spans[0])].strip(" \t>"):
        spans = spans[1:]
    if spans and not line[slice(*spans[-1])].strip():
        spans = spans[:-1]
    return spans


def width(text: str) -> int:
    """Return how many columns a text takes where wide letters take two."""
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def refitted(cell: str, text: str, others: Sequence[str], lead: str = " ") -> str:
    """Return a cell with other text.

    Where cells of the same column (`others`) are as wide as it is, it stays as wide if it can, so
    that the pipes stay in line. `lead` is the padding before a text where there was none.
    """
    old = cell.strip()
    if old:
        start = cell.index(old)
        before, after = cell[:start], cell[start + len(old) :]
    else:
        before = lead if cell and text else ""
        after = " " if cell else ""
    changed = before + text + after
    if width(cell) in map(width, others) or not old:
        room = width(cell) - width(before + text)
        changed = before + text + " " * max(room, 1 if after else 0)
    return changed


def new_row(texts: Sequence[str], model: str, rows: Sequence[str]) -> str:
    """Return a line with these texts as cells, in the manner of the row `model`.

    `rows` are all lines of the table: a cell is made as wide as most cells of its column.
    """
    spans = cell_spans(model)
    line, at = "", 0
    for number, ((start, end), text) in enumerate(zip(spans, texts, strict=True)):
        cell = model[start:end]
        old = cell.strip()
        before = cell[: len(cell) - len(cell.lstrip())] if old else " "
        closed = end < len(model)
        made = before + text + (" " if closed and (cell.endswith(" ") or not old) else "")
        if closed:
            made += " " * (_usual_width(rows, number) - width(made))
        line += model[at:start] + made
        at = end
    return line + model[at:]


def _usual_width(rows: Sequence[str], number: int) -> int:
    widths = Counter(
        width(row[slice(*spans[number])]) for row in rows if len(spans := cell_spans(row)) > number
    )
    common = widths.most_common(1)
    return common[0][0] if common else 0


_DIFF_LINE = re.compile(rb"[^\n]*\n|[^\n]+")
_NO_END = b"\n\\ No newline at end of file\n"
_QUOTED = re.compile(r'[\x00-\x1f"\\\x7f]')


def diff_root(paths: Sequence[Path], here: Path) -> Path:
    """Return the folder that the names in the diffs are of: `here`, if all the files lie in it."""
    absolute = [_plainly(here / path) for path in paths]
    if all(path.is_relative_to(here) for path in absolute):
        return here
    return Path(os.path.commonpath([path.parent for path in absolute]))


def diff_name(path: Path, root: Path, here: Path) -> str:
    """Return the name of a file in the diffs, from `diff_root`."""
    return _plainly(here / path).relative_to(root).as_posix()


def unified_diff(old: bytes, new: bytes, name: str) -> bytes:
    """Return the diff from `old` to `new` of a file, b"" where nothing is changed.

    A carriage return belongs to its line, and a last line may have no end.
    """
    if old == new:
        return b""
    header = _header(name)
    return b"".join((b"--- " + header, b"+++ " + header, *_hunks(old, new)))


def _plainly(path: Path) -> Path:
    return Path(os.path.normpath(path))


def _hunks(old: bytes, new: bytes) -> Iterator[bytes]:
    before, after = _DIFF_LINE.findall(old), _DIFF_LINE.findall(new)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    for group in matcher.get_grouped_opcodes(3):
        first, last = group[0], group[-1]
        spans = _span(first[1], last[2]), _span(first[3], last[4])
        yield "@@ -{} +{} @@\n".format(*spans).encode()
        for tag, low, high, new_low, new_high in group:
            if tag == "equal":
                yield from (_line(b" ", line) for line in before[low:high])
                continue
            yield from (_line(b"-", line) for line in before[low:high])
            yield from (_line(b"+", line) for line in after[new_low:new_high])


def _span(start: int, end: int) -> str:
    length = end - start
    if length == 1:
        return str(start + 1)
    return f"{start + 1 if length else start},{length}"


def _line(sign: bytes, line: bytes) -> bytes:
    return sign + line if line.endswith(b"\n") else sign + line + _NO_END


def _header(name: str) -> bytes:
    if _QUOTED.search(name):
        escaped = _QUOTED.sub(lambda found: f"\\{ord(found[0]):03o}", name)
        return f'"{escaped}"\n'.encode()
    # A tab ends a name that has a space in it.
    return os.fsencode(name) + (b"\t\n" if " " in name else b"\n")
