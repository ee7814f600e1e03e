"""Find the reader of a table by its headers among the plug-ins in `matrix.documents.tables`."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from matrix.documents import tables
from matrix.documents.other_tracers import OUR_TRACER
from matrix.documents.source import Table
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

_REPEATABLE = {SUPPORT, UNKNOWN, "documentation"}


@functools.cache
def readers() -> tuple[TableReader, ...]:
    """Return the readers of all kinds of tables, the most specific first."""
    loaded = (reader for _, reader in plugins(tables, "READER"))
    return tuple(sorted(loaded, key=lambda reader: (reader.rank, reader.kind.value)))


def read_table(table: Table, vocabulary: Vocabulary, section: str) -> Iterator[Outcome]:
    """Yield the claims of a table, and its problems.

    A table of unknown kind is one problem for all of its rows. An unknown column of a known kind is
    one problem, and the rest of the table is read.
    """
    columns = read_columns(table, vocabulary)
    claim_table = ClaimTable(table, columns, vocabulary, section)
    reader = next((reader for reader in readers() if reader.fits(claim_table)), None)
    line = table.header.line
    unknown = [column for column in columns if column.role == UNKNOWN]
    if reader is None:
        yield _unknown_table(claim_table, unknown)
        return
    for column in unknown:
        near = vocabulary.nearest("columns", column.written)
        yield TableProblem(line, f"unknown column {column.written!r}", near)
    roles = [column.role for column in columns]
    for role in dict.fromkeys(roles):
        if role not in _REPEATABLE and roles.count(role) > 1:
            headers = [column.written for column in columns if column.role == role]
            message = f"columns with the same role: {', '.join(map(repr, headers))}"
            yield TableProblem(line, message)
    for row in claim_table.rows():
        if isinstance(row, TableProblem):
            yield row
        else:
            yield from reader.read_row(claim_table, row)


def read_columns(table: Table, vocabulary: Vocabulary) -> tuple[Column, ...]:
    """Return the columns of a table with their roles, by their headers."""
    return tuple(_column(header, vocabulary) for header in table.header.cells)


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


def _unknown_table(claim_table: ClaimTable, unknown: list[Column]) -> TableProblem:
    table = claim_table.source
    headers = ", ".join(repr(plain(cell)) for cell in table.header.cells)
    suggestions = (claim_table.vocabulary.nearest("columns", column.written) for column in unknown)
    near = next(filter(None, suggestions), "")
    rows = [row for row in table.rows if any(plain(cell) for cell in row.cells)]
    lines = f" ({len(rows)} rows, lines {rows[0].line}-{rows[-1].line})" if rows else ""
    return TableProblem(table.header.line, f"unknown kind of table: {headers}{lines}", near)
