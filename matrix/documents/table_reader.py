"""Tables: their columns by role, rows and drafts of claims, and the plug-in that reads each.

Plug-ins in `matrix.documents.tables` share what is here; each reads one kind of table.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from matrix.documents import tables
from matrix.documents.blocks import Table, TableRow
from matrix.documents.markup import STRUCK_OUT, PageProblem
from matrix.documents.other_tracers import tracer_named
from matrix.documents.text import plain, slug
from matrix.documents.versions import Promise, PromiseError, read_promise
from matrix.documents.vocabulary import OUR_TRACER, Vocabulary
from matrix.model.claim import ClaimKind, Status
from matrix.system.source_files import plugins

SUPPORT = "support"
"""The role of a column whose header names a capability; its cells say if it is supported."""

UNKNOWN = "unknown"
OTHER_TRACER = "other-tracer"
"""The role of a column about another tracer, in a table with a column for each tracer."""

Scope: TypeAlias = tuple[tuple[str, str], ...]

_DECISIVE = {SUPPORT, "versions", "minimum", "automatic", "level", "cpu", "ddtrace"}
_REPEATABLE = {SUPPORT, UNKNOWN, OTHER_TRACER, "documentation"}
_NOTE_FORMATS = {"note": "{}", "agent": "Datadog Agent {}"}
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ARROW = re.compile(r"^(?:-+>|-+&gt;|\u2192|\u21b3|\u2022)\s*")
_LINKED = re.compile(r"\[([^\[\]]+)\][ ]?(?:\[[^\[\]]*\]|\([^()]*\))")
_SEVERAL = re.compile(r"\s*[,\u3001]\s*|\s+[/&]\s+")
_JOINT = re.compile(r"[/,&\u3001\u30fb]|(?<!\w)(?:and|or)(?!\w)", re.IGNORECASE)
_BRACKETED = re.compile(r"[(\uff08]([^()\uff08\uff09]*)[)\uff09]")


@dataclasses.dataclass(frozen=True)
class Column:
    """A column: its role, its header as written, and its capability (for `SUPPORT`)."""

    role: str
    written: str
    capability: str = ""


@dataclasses.dataclass(frozen=True)
class ClaimDraft:
    """A claim without its id; `id_suffixes` distinguish drafts that are otherwise equal."""

    kind: ClaimKind
    subject: str
    specifier: str
    as_written: str
    status: Status
    line: int
    scope: Scope = ()
    id_suffixes: tuple[str, ...] = ()


Outcome: TypeAlias = ClaimDraft | PageProblem


@dataclasses.dataclass(frozen=True)
class RowCells:
    """A row: the first cell of each role, and each capability's column with its cell."""

    line: int
    by_role: Mapping[str, str]
    support: tuple[tuple[Column, str], ...]

    def __getitem__(self, role: str) -> str:
        return self.by_role.get(role, "")

    @property
    def notes(self) -> Scope:
        """Return the texts of the note and agent columns as scope."""
        notes = [
            form.format(text) for role, form in _NOTE_FORMATS.items() if (text := plain(self[role]))
        ]
        return (("note", "; ".join(notes)),) if notes else ()


@dataclasses.dataclass(frozen=True)
class ClaimTable:
    """A table with the roles of its columns."""

    source: Table
    columns: tuple[Column, ...]
    vocabulary: Vocabulary
    section: str

    def has(self, *roles: str) -> bool:
        """Return whether there is a column for each of the roles."""
        return {column.role for column in self.columns}.issuperset(roles)

    def unknown(self, row: RowCells, role: str, group: str, thing: str) -> PageProblem:
        """Return the problem of a cell that should have a word of a group of the vocabulary."""
        near = self.vocabulary.nearest(group, row[role])
        return PageProblem(row.line, f"unknown {thing} {plain(row[role])!r}", near, row[role])

    def rows(self) -> Iterator[RowCells | PageProblem]:
        """Yield the rows, those joined by `<br/>` one by one; skip empty rows.

        Text beyond the last column is a problem, except after a column of links: a link's address
        may contain a pipe.
        """
        for row in self.source.rows:
            if not any(plain(cell) for cell in row.cells):
                continue
            missing = [c for c in self.columns[len(row.cells) :] if c.role in _DECISIVE]
            struck = next((cell for cell in row.cells if STRUCK_OUT in cell), "")
            if missing or struck:
                what = f"row ends before {missing[0].written!r}" if missing else "struck-out cell"
                yield PageProblem(row.line, f"{what}: the row is not read")
                continue
            extra = [cell for cell in row.cells[len(self.columns) :] if plain(cell)]
            if extra and self.columns[-1].role != "documentation":
                yield PageProblem(
                    row.line, f"unexpected cell {plain(extra[0])!r} beyond the last column"
                )
            for cells in _split_joined(row, len(self.columns)):
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
    """A reader for one kind of table; the reader with the lowest `rank` that fits is used."""

    kind: ClaimKind
    rank: int
    fits: Callable[[ClaimTable], bool]
    read_row: Callable[[ClaimTable, RowCells], Iterator[Outcome]]


def _split_joined(row: TableRow, width: int) -> Iterator[tuple[str, ...]]:
    """Split a row whose first cell joins several names with `<br/>`, if the other cells match.

    The name of a group (`Group <br/> --> member`) without values of its own is skipped.
    """
    cells = [*row.cells[:width], *[""] * (width - len(row.cells))]
    parts = [[part.strip() for part in _BREAK.split(cell)] for cell in cells]
    count = len([part for part in parts[0] if plain(part)])
    if count < 2 or any(len(part) not in {1, len(parts[0])} for part in parts):  # noqa: PLR2004
        yield tuple(cells)
        return
    is_member = [bool(_ARROW.match(name)) for name in parts[0]]
    for number, member in enumerate(is_member):
        split = [_ARROW.sub("", part[number if len(part) > 1 else 0]) for part in parts]
        is_group = not member and True in is_member[number + 1 : number + 2]
        if is_group and not any(plain(cell) for cell in split[1:]):
            continue
        yield tuple(split)


@dataclasses.dataclass(frozen=True)
class Name:
    """A library's slug; the scope has its backend, its role and other text in brackets (note).

    `status` is the one in brackets beside the name: `pymongo (deprecated)`.
    """

    subject: str
    scope: Scope = ()
    status: Status | None = None


def read_names(cell: str, vocabulary: Vocabulary) -> tuple[Name, ...]:
    """Parse a cell such as `[Redis][40] [redis-py-cluster][41]` or `aiohttp (client)`.

    Returns nothing if it contains no name, or words beside a link that are not understood. Names
    with a comma or slash between them are several. Of links without, the last is the library and
    the first its backend; of a link to a back end and a word beside it, the word is the library.
    """
    scope: list[tuple[str, str]] = []
    notes: list[str] = []
    status: Status | None = None
    for text in (plain(match[1]) for match in _BRACKETED.finditer(_LINKED.sub(" ", cell))):
        if role := vocabulary.exactly("roles", text):
            scope.append(("role", role))
        elif word := vocabulary.exactly("statuses", text):
            status = Status(word)
        elif text:
            notes.append(text)
    if notes:
        scope.append(("note", "; ".join(notes)))
    named = _named(cell, vocabulary)
    return tuple(Name(name, (*backend, *scope), status) for name, backend in named)


def _named(cell: str, vocabulary: Vocabulary) -> list[tuple[str, Scope]]:
    """Return the slugs of a cell's names, each with the scope of its backend."""
    links = [_canonical(match[1], vocabulary) for match in _LINKED.finditer(cell)]
    if not links:
        parts = [part for part in _BREAK.split(cell) if plain(part)][-1:]
        words = [plain(_BRACKETED.sub(" ", part)) for part in parts]
        names = [_canonical(name, vocabulary) for word in words for name in _SEVERAL.split(word)]
        return [(name, ()) for name in dict.fromkeys(names) if name]
    rest = plain(_BRACKETED.sub(" ", _LINKED.sub(" ", _BREAK.sub(" ", cell))))
    words_beside = _JOINT.sub(" ", rest).strip()
    name, first = links[-1], links[0]
    if words_beside:
        if not vocabulary.exactly("back-ends", first):
            return []
        name = _canonical(words_beside, vocabulary)
    elif _JOINT.search(rest) and all(links):
        return [(link, ()) for link in dict.fromkeys(links)]
    if not name:
        return []
    has_backend = first and first != name and (words_beside or len(links) > 1)
    return [(name, (("backend", first),) if has_backend else ())]


def read_support(
    table: ClaimTable, row: RowCells, column: Column, cell: str
) -> Promise | PageProblem:
    """Return the promise of a row's cell in a capability's column, or the problem with it."""
    try:
        return read_promise(cell, table.vocabulary)
    except PromiseError as error:
        message = f"neither yes nor no for {column.written!r}: {error.part!r}"
        return PageProblem(row.line, message, error.suggestion, cell)


def merge_scopes(*scopes: Scope) -> Scope:
    """Return the pairs of all scopes; later values replace earlier ones, but notes are joined."""
    merged: dict[str, str] = {}
    for key, value in itertools.chain.from_iterable(scopes):
        merged[key] = f"{merged[key]}; {value}" if key == "note" and key in merged else value
    return tuple(merged.items())


def _canonical(written: str, vocabulary: Vocabulary) -> str:
    return vocabulary.exactly("names", written) or slug(written)


@functools.cache
def readers() -> tuple[TableReader, ...]:
    """Return the readers of all kinds of tables, the most specific first."""
    loaded = (reader for _, reader in plugins(tables, "READER"))
    return tuple(sorted(loaded, key=lambda reader: (reader.rank, reader.kind.value)))


def read_table(table: Table, vocabulary: Vocabulary, section: str) -> Iterator[Outcome]:
    """Yield the claims of a table, and its problems.

    A table of unknown kind is one problem for all of its rows. An unknown column of a known kind is
    one problem, and the rest of the table is read. Columns and rows of other tracers are one notice
    each.
    """
    columns = read_columns(table, vocabulary)
    others = [column.written for column in columns if column.role == OTHER_TRACER]
    if others:
        yield _other_tracers(table.header.line, "columns", others)
    table, skipped = _without_other_rows(table, columns, vocabulary)
    if skipped:
        names = [plain(row.cells[0]) for row in skipped]
        yield _other_tracers(skipped[0].line, "rows", names)
        if not table.rows:
            return
    claim_table = ClaimTable(table, columns, vocabulary, section)
    reader = next((reader for reader in readers() if reader.fits(claim_table)), None)
    line = table.header.line
    unknown = [column for column in columns if column.role == UNKNOWN]
    if reader is None:
        yield _unknown_table(claim_table, unknown)
        return
    for column in unknown:
        near = vocabulary.nearest("columns", column.written)
        yield PageProblem(line, f"unknown column {column.written!r}", near)
    roles = [column.role for column in columns]
    for role in dict.fromkeys(roles):
        if role not in _REPEATABLE and roles.count(role) > 1:
            headers = [column.written for column in columns if column.role == role]
            message = f"columns with the same role: {', '.join(map(repr, headers))}"
            yield PageProblem(line, message)
    for row in claim_table.rows():
        if isinstance(row, PageProblem):
            yield row
        else:
            yield from reader.read_row(claim_table, row)


def read_columns(table: Table, vocabulary: Vocabulary) -> tuple[Column, ...]:
    """Return the columns of a table with their roles, by their headers.

    In a table of capabilities with a column for each tracer, ours has the minimum.
    """
    columns = tuple(_column(header, vocabulary) for header in table.header.cells)
    tracers = [tracer_named(header, vocabulary) for header in table.header.cells]
    if OUR_TRACER not in tracers or len({*tracers} - {None}) == 1:
        return columns
    roles = {tracer: OTHER_TRACER for tracer in tracers if tracer} | {OUR_TRACER: "minimum"}
    return tuple(
        Column(roles[tracer], column.written) if tracer else column
        for column, tracer in zip(columns, tracers, strict=True)
    )


def _without_other_rows(
    table: Table, columns: Sequence[Column], vocabulary: Vocabulary
) -> tuple[Table, list[TableRow]]:
    """Return a table with a row for each tracer without those of others, and these rows."""
    if not columns or columns[0].role != "deployment":
        return table, []

    def is_other(row: TableRow) -> bool:
        tracer = vocabulary.exactly("tracers", row.cells[0]) if row.cells else None
        return tracer not in {None, OUR_TRACER}

    skipped = [row for row in table.rows if is_other(row)]
    rows = tuple(row for row in table.rows if not is_other(row))
    return dataclasses.replace(table, rows=rows), skipped


def _other_tracers(line: int, what: str, names: Sequence[str]) -> PageProblem:
    message = f"{what} of other tracers are not read: {', '.join(dict.fromkeys(names))}"
    return PageProblem(line, message, notice=True)


def _column(header: str, vocabulary: Vocabulary) -> Column:
    written = plain(header)
    tracer = vocabulary.within("tracers", header)
    if tracer and tracer[0] != OUR_TRACER:
        return Column(UNKNOWN, written)
    if role := vocabulary.exactly("columns", header):
        return Column(role, written)
    if capability := vocabulary.within("capabilities", header):
        return Column(SUPPORT, written, capability[0])
    return Column(UNKNOWN, written)


def _unknown_table(claim_table: ClaimTable, unknown: list[Column]) -> PageProblem:
    table = claim_table.source
    headers = ", ".join(repr(plain(cell)) for cell in table.header.cells)
    suggestions = (claim_table.vocabulary.nearest("columns", column.written) for column in unknown)
    near = next(filter(None, suggestions), "")
    rows = [row for row in table.rows if any(plain(cell) for cell in row.cells)]
    lines = f" ({len(rows)} rows, lines {rows[0].line}-{rows[-1].line})" if rows else ""
    return PageProblem(table.header.line, f"unknown kind of table: {headers}{lines}", near)
