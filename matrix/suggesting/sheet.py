"""A document as the file has it: every byte kept but for what is changed on purpose."""

from __future__ import annotations

import codecs
import dataclasses
import re
from collections import Counter
from collections.abc import Iterable
from typing import TypeAlias

__all__ = ["Cut", "Insertion", "Sheet", "Splice", "Swap", "sheet_of"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE = re.compile(r"([^\r\n]*)(\r\n|\r|\n|\Z)")


@dataclasses.dataclass(frozen=True)
class Swap:
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
class Cut:
    """Lines that go, from `line` to `last`, both included."""

    line: int
    last: int


Splice: TypeAlias = Swap | Insertion | Cut


@dataclasses.dataclass(frozen=True)
class Sheet:
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

    def with_splices(self, splices: Iterable[Splice]) -> Sheet:
        """Return the file with these changes, which must not touch each other."""
        lines = list(self.lines)
        # From the end to the beginning, so that the places of the others stay right.
        placed = sorted(
            ((_place(splice), number, splice) for number, splice in enumerate(splices)),
            key=lambda one: one[:2],
            reverse=True,
        )
        for _, _, splice in placed:
            if isinstance(splice, Swap):
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


def sheet_of(data: bytes) -> Sheet:
    """Return the lines of a document that was read already: the encoding is known to be right."""
    mark, codec = next(((m, c) for m, c in _MARKS if data.startswith(m)), (b"", "utf-8"))
    text = data[len(mark) :].decode(codec)
    lines = [(found[1], found[2]) for found in _LINE.finditer(text)]
    # The pattern also finds nothing behind the last end.
    while lines and lines[-1] == ("", ""):
        lines.pop()
    return Sheet(mark, codec, tuple(lines))


def _place(splice: Splice) -> tuple[int, int, int]:
    if isinstance(splice, Swap):
        return splice.line, 1, splice.start
    # What comes after a line is put there before the line itself is changed.
    return splice.line, 2 if isinstance(splice, Insertion) else 0, 0
