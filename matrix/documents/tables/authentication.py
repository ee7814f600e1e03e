"""Read tables of user authentication frameworks and their versions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    RowCells,
    TableReader,
    read_names,
)
from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions, series
from matrix.model.claim import ClaimKind, Status


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    names = read_names(row["framework"], table.vocabulary)
    try:
        alternatives = read_versions(row["versions"], table.vocabulary)
    except VersionsError as error:
        message = f"invalid version {error.part!r} of {plain(row['framework'])}"
        yield PageProblem(row.line, message, written=row["versions"])
        return
    if not names or not alternatives:
        yield PageProblem(row.line, "row without a name or a version")
        return
    for name, specifier in itertools.product(names, dict.fromkeys(map(series, alternatives))):
        yield ClaimDraft(
            ClaimKind.AUTHENTICATION,
            name.subject,
            specifier,
            plain(row["versions"]),
            name.status or Status.SUPPORTED,
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
