"""What every kind of table shares: columns with a role, rows as cells by role, drafts of claims."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from matrix.model.claim import ClaimKind, Status
from matrix.reading.markdown import Row, Table
from matrix.reading.vocabulary import Vocabulary
from matrix.reading.words import plain

__all__ = [
    "SUPPORT",
    "UNKNOWN",
    "Cells",
    "Column",
    "Draft",
    "Grid",
    "Outcome",
    "TableReader",
    "Trouble",
]

SUPPORT = "support"
"""The role of a column whose header names a capability: its cells say whether it is there."""

UNKNOWN = "unknown"
_ASIDE = {"note": "{}", "agent": "Datadog Agent {}"}
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ARROW = re.compile(r"^(?:-+>|-+&gt;|\u2192|\u21b3|\u2022)\s*")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: what it is for, its capability (for `SUPPORT`), and its header as written."""

    role: str
    written: str
    capability: str = ""


@dataclasses.dataclass(frozen=True)
class Draft:
    """A claim before it has a name: what is promised, and on which line.

    `apart` tells it from another draft with the same promise, by what else its row says.
    """

    kind: ClaimKind
    subject: str
    specifier: str
    as_written: str
    status: Status
    line: int
    scope: tuple[tuple[str, str], ...] = ()
    apart: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Trouble:
    """A row or word that is not understood, on its line, with the nearest known word."""

    line: int
    message: str
    suggestion: str = ""


Outcome: TypeAlias = Draft | Trouble


@dataclasses.dataclass(frozen=True)
class Cells:
    """One row: the first cell of each role, and each capability's cell with its column."""

    line: int
    by_role: Mapping[str, str]
    support: tuple[tuple[Column, str], ...]

    def __getitem__(self, role: str) -> str:
        return self.by_role.get(role, "")

    @property
    def aside(self) -> tuple[tuple[str, str], ...]:
        """What notes and agent columns say, as scope."""
        said = [
            form.format(plain(self[role])) for role, form in _ASIDE.items() if plain(self[role])
        ]
        return (("note", "; ".join(said)),) if said else ()


@dataclasses.dataclass(frozen=True)
class Grid:
    """A table of a known kind."""

    table: Table
    columns: tuple[Column, ...]
    vocabulary: Vocabulary
    section: str

    def has(self, *roles: str) -> bool:
        """Say whether there is a column for each of the roles."""
        have = {column.role for column in self.columns}
        return have.issuperset(roles)

    def rows(self) -> Iterator[Cells | Trouble]:
        """Yield the rows, those of lines joined by `<br/>` one by one.

        A row that says nothing at all is none. Words beyond the last column are in the way only
        where that column means something: a stray pipe in a link's address is no promise.
        """
        for row in self.table.rows:
            extra = [cell for cell in row.cells[len(self.columns) :] if plain(cell)]
            if extra and self.columns[-1].role != "documentation":
                yield Trouble(row.line, f"{plain(extra[0])!r} stands beyond the last column")
            if any(plain(cell) for cell in row.cells):
                for cells in _unjoined(row, len(self.columns)):
                    yield self._cells(row.line, cells)

    def _cells(self, line: int, cells: tuple[str, ...]) -> Cells:
        by_role: dict[str, str] = {}
        support = []
        for column, cell in zip(self.columns, cells, strict=True):
            if column.role == SUPPORT:
                support.append((column, cell))
            else:
                by_role.setdefault(column.role, cell)
        return Cells(line, by_role, tuple(support))


@dataclasses.dataclass(frozen=True)
class TableReader:
    """How one kind of table is known and read; the lowest `rank` that fits wins."""

    kind: ClaimKind
    rank: int
    fits: Callable[[Grid], bool]
    read: Callable[[Grid], Iterator[Outcome]]


def _unjoined(row: Row, width: int) -> Iterator[tuple[str, ...]]:
    """Split a row whose first cell joins several names with `<br/>`, where the others match.

    A name that only opens a group (`Group <br/> --> member`) and has no value of its own is none.
    """
    cells = [*row.cells[:width], *[""] * (width - len(row.cells))]
    parts = [[part.strip() for part in _BREAK.split(cell)] for cell in cells]
    count = len([part for part in parts[0] if plain(part)])
    if count < 2 or any(len(part) not in {1, len(parts[0])} for part in parts):  # noqa: PLR2004
        yield tuple(cells)
        return
    members = [bool(_ARROW.match(name)) for name in parts[0]]
    for number, member in enumerate(members):
        one = [_ARROW.sub("", part[number if len(part) > 1 else 0]) for part in parts]
        group = not member and True in members[number + 1 : number + 2]
        if group and not any(plain(cell) for cell in one[1:]):
            continue
        yield tuple(one)
