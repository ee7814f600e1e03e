"""Read tables of user authentication frameworks and their versions."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    RowCells,
    TableProblem,
    TableReader,
    read_name,
)
from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions, series
from matrix.model.claim import ClaimKind, Status


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    name = read_name(row["framework"], table.vocabulary)
    try:
        alternatives = read_versions(row["versions"], table.vocabulary)
    except VersionsError as error:
        message = f"invalid version {error.part!r} of {plain(row['framework'])}"
        yield TableProblem(row.line, message)
        return
    if name is None or not alternatives:
        yield TableProblem(row.line, "row without a name or a version")
        return
    for specifier in dict.fromkeys(map(series, alternatives)):
        yield ClaimDraft(
            ClaimKind.AUTHENTICATION,
            name.subject,
            specifier,
            plain(row["versions"]),
            Status.SUPPORTED,
            row.line,
            (*name.scope, *row.notes),
            (specifier,),
        )


def _fits(table: ClaimTable) -> bool:
    return (
        table.section == "authentication"
        and table.has("framework", "versions")
        and not table.has(SUPPORT)
        and not table.has("automatic")
    )


READER = TableReader(ClaimKind.AUTHENTICATION, 45, _fits, _read_row)
