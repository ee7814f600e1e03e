"""User authentication frameworks: the versions whose logins are seen."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    TableProblem,
    TableReader,
    read_name,
)
from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions, series
from matrix.model.claim import ClaimKind, Status

__all__ = ["READER"]


def _read(grid: ClaimTable) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, TableProblem):
            yield row
            continue
        name = read_name(row["framework"], grid.vocabulary)
        try:
            found = read_versions(row["versions"], grid.vocabulary)
        except VersionsError as error:
            yield TableProblem(
                row.line, f"{error.part!r} is no version of {plain(row['framework'])}"
            )
            continue
        if name is None or not found:
            yield TableProblem(row.line, "a row without a name or a version")
            continue
        for specifier in dict.fromkeys(series(one) for one in found):
            yield ClaimDraft(
                ClaimKind.AUTHENTICATION,
                name.subject,
                specifier,
                plain(row["versions"]),
                Status.SUPPORTED,
                row.line,
                (*name.scope, *row.aside),
                (specifier,),
            )


def _fits(grid: ClaimTable) -> bool:
    return (
        grid.section == "authentication"
        and grid.has("framework", "versions")
        and not grid.has(SUPPORT)
        and not grid.has("automatic")
    )


READER = TableReader(ClaimKind.AUTHENTICATION, 45, _fits, _read)
