"""Read tables of release branches and their levels of support."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import ClaimDraft, ClaimTable, Outcome, RowCells, TableReader
from matrix.documents.text import plain
from matrix.documents.versions import (
    PromiseError,
    VersionsError,
    read_promise,
    read_versions,
    series,
)
from matrix.model.claim import ClaimKind


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    release, level = row["release"], row["level"]
    try:
        branches = read_versions(release, table.vocabulary)
    except VersionsError as error:
        yield PageProblem(row.line, f"invalid release branch {error.part!r}", written=release)
        return
    if not branches:
        yield PageProblem(row.line, f"no release branch for {plain(level)!r}")
        return
    try:
        promise = read_promise(level, table.vocabulary) if plain(level) else None
    except PromiseError as error:
        message = f"unknown level of support {error.part!r}"
        yield PageProblem(row.line, message, error.suggestion, level)
        return
    if promise is None or promise.status is None or promise.specifiers:
        yield table.unknown(row, "level", "statuses", "level of support")
        return
    for branch in branches:
        yield ClaimDraft(
            ClaimKind.BRANCH,
            "ddtrace",
            series(branch),
            plain(release),
            promise.status,
            row.line,
            (*promise.scope, *row.notes),
        )


READER = TableReader(ClaimKind.BRANCH, 30, lambda table: table.has("release", "level"), _read_row)
