"""Which kind a table is of, by its headers; the readers are found by looking, not by a list."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from matrix.documents import tables
from matrix.documents.markdown import Table
from matrix.documents.other_tracers import OURS
from matrix.documents.table_reader import (
    SUPPORT,
    UNKNOWN,
    ClaimTable,
    Column,
    Outcome,
    TableProblem,
    TableReader,
)
from matrix.documents.text import plain
from matrix.documents.vocabulary import Vocabulary
from matrix.system.plugins import plugins

__all__ = ["columns_of", "read_table", "readers"]

_MEANT_TO_REPEAT = {SUPPORT, UNKNOWN, "documentation"}


@functools.cache
def readers() -> tuple[TableReader, ...]:
    """Return the readers of all kinds, the most particular first."""
    found = (reader for _, reader in plugins(tables, "READER"))
    return tuple(sorted(found, key=lambda reader: (reader.rank, reader.kind.value)))


def read_table(table: Table, vocabulary: Vocabulary, section: str) -> Iterator[Outcome]:
    """Yield what a table promises, and what in it is not understood.

    A table whose headers make it no known kind is one trouble for all of its rows; an unknown
    column of a known kind is one trouble, and the rest of the table is read.
    """
    columns = columns_of(table, vocabulary)
    grid = ClaimTable(table, columns, vocabulary, section)
    reader = next((one for one in readers() if one.fits(grid)), None)
    line = table.header.line
    unknown = [column for column in columns if column.role == UNKNOWN]
    if reader is None:
        yield from _no_kind(grid, unknown)
        return
    for column in unknown:
        near = vocabulary.nearest("columns", column.written)
        yield TableProblem(line, f"unknown column {column.written!r}", near)
    roles = [column.role for column in columns]
    for role in dict.fromkeys(roles):
        if role not in _MEANT_TO_REPEAT and roles.count(role) > 1:
            twice = [column.written for column in columns if column.role == role]
            yield TableProblem(line, f"two columns for one thing: {', '.join(map(repr, twice))}")
    yield from reader.read(grid)


def columns_of(table: Table, vocabulary: Vocabulary) -> tuple[Column, ...]:
    """Return what each column of a table is for, by its header."""
    return tuple(_column(header, vocabulary) for header in table.header.cells)


def _column(header: str, vocabulary: Vocabulary) -> Column:
    written = plain(header)
    named = vocabulary.within("tracers", header)
    if named and named[0] != OURS:
        return Column(UNKNOWN, written)
    if role := vocabulary.exactly("columns", header):
        return Column(role, written)
    if found := vocabulary.within("capabilities", header):
        return Column(SUPPORT, written, found[0])
    return Column(UNKNOWN, written)


def _no_kind(grid: ClaimTable, unknown: list[Column]) -> Iterator[TableProblem]:
    """Say that a table is of no known kind, and where its rows are."""
    table = grid.table
    headers = ", ".join(repr(plain(cell)) for cell in table.header.cells)
    near = next(
        (
            near
            for column in unknown
            if (near := grid.vocabulary.nearest("columns", column.written))
        ),
        "",
    )
    rows = [row for row in table.rows if any(plain(cell) for cell in row.cells)]
    where = f" ({len(rows)} rows, lines {rows[0].line}-{rows[-1].line})" if rows else ""
    yield TableProblem(table.header.line, f"no known kind of table: {headers}{where}", near)
