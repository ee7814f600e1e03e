"""What every kind of table shares: columns with a role, rows as cells by role, drafts of claims.

Name cells: `[Redis][40] [redis-py-cluster][41]`, `aiohttp (client)`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from matrix.documents.markdown import Table, TableRow
from matrix.documents.text import plain, slug
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

__all__ = [
    "SUPPORT",
    "UNKNOWN",
    "ClaimDraft",
    "ClaimTable",
    "Column",
    "Name",
    "Outcome",
    "RowCells",
    "TableProblem",
    "TableReader",
    "read_name",
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
class ClaimDraft:
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
class TableProblem:
    """A row or word that is not understood, on its line, with the nearest known word."""

    line: int
    message: str
    suggestion: str = ""


Outcome: TypeAlias = ClaimDraft | TableProblem


@dataclasses.dataclass(frozen=True)
class RowCells:
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
class ClaimTable:
    """A table of a known kind."""

    table: Table
    columns: tuple[Column, ...]
    vocabulary: Vocabulary
    section: str

    def has(self, *roles: str) -> bool:
        """Say whether there is a column for each of the roles."""
        have = {column.role for column in self.columns}
        return have.issuperset(roles)

    def rows(self) -> Iterator[RowCells | TableProblem]:
        """Yield the rows, those of lines joined by `<br/>` one by one.

        A row that says nothing at all is none. Words beyond the last column are in the way only
        where that column means something: a stray pipe in a link's address is no promise.
        """
        for row in self.table.rows:
            extra = [cell for cell in row.cells[len(self.columns) :] if plain(cell)]
            if extra and self.columns[-1].role != "documentation":
                yield TableProblem(row.line, f"{plain(extra[0])!r} stands beyond the last column")
            if any(plain(cell) for cell in row.cells):
                for cells in _unjoined(row, len(self.columns)):
                    yield self._cells(row.line, cells)

    def _cells(self, line: int, cells: tuple[str, ...]) -> RowCells:
        by_role: dict[str, str] = {}
        support = []
        for column, cell in zip(self.columns, cells, strict=True):
            if column.role == SUPPORT:
                support.append((column, cell))
            else:
                by_role.setdefault(column.role, cell)
        return RowCells(line, by_role, tuple(support))


@dataclasses.dataclass(frozen=True)
class TableReader:
    """How one kind of table is known and read; the lowest `rank` that fits wins."""

    kind: ClaimKind
    rank: int
    fits: Callable[[ClaimTable], bool]
    read: Callable[[ClaimTable], Iterator[Outcome]]


def _unjoined(row: TableRow, width: int) -> Iterator[tuple[str, ...]]:
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


_LINKED = re.compile(r"\[([^\[\]]+)\][ ]?(?:\[[^\[\]]*\]|\([^()]*\))")
_NAMES_ASIDE = re.compile(r"[(\uff08]([^()\uff08\uff09]*)[)\uff09]")
_NAMES_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Name:
    """A library's slug, the backend it stands for, its role, and what else is in brackets."""

    subject: str
    scope: tuple[tuple[str, str], ...] = ()


def read_name(cell: str, vocabulary: Vocabulary) -> Name | None:
    """Return what a cell names, or None where it names nothing.

    Of several links the last is the library and the first what it talks to.
    """
    links = [found[1] for found in _LINKED.finditer(cell)]
    rest = _LINKED.sub(" ", cell)
    if not links:
        parts = [part for part in _NAMES_BREAK.split(cell) if plain(part)]
        links = [_NAMES_ASIDE.sub(" ", part) for part in parts] or [""]
    name = _canonical(links[-1], vocabulary)
    if not name:
        return None
    scope = []
    backend = _canonical(links[0], vocabulary) if len(links) > 1 else ""
    if backend and backend != name:
        scope.append(("backend", backend))
    notes = []
    for aside in (plain(found[1]) for found in _NAMES_ASIDE.finditer(rest)):
        if role := vocabulary.exactly("roles", aside):
            scope.append(("role", role))
        elif aside:
            notes.append(aside)
    if notes:
        scope.append(("note", "; ".join(notes)))
    return Name(name, tuple(scope))


def _canonical(written: str, vocabulary: Vocabulary) -> str:
    return vocabulary.exactly("names", written) or slug(written)
