"""Read tables of release branches and their levels of support."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.documents.promise import PromiseError, read_promise
from matrix.documents.table_reader import ClaimDraft, ClaimTable, Outcome, TableProblem, TableReader
from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions, series
from matrix.model.claim import ClaimKind

__all__ = ["READER"]


def _read(table: ClaimTable) -> Iterator[Outcome]:
    for row in table.rows():
        if isinstance(row, TableProblem):
            yield row
            continue
        release, level = row["release"], row["level"]
        try:
            branches = read_versions(release, table.vocabulary)
        except VersionsError as error:
            yield TableProblem(row.line, f"invalid release branch {error.part!r}")
            continue
        if not branches:
            yield TableProblem(row.line, f"no release branch for {plain(level)!r}")
            continue
        try:
            promise = read_promise(level, table.vocabulary) if plain(level) else None
        except PromiseError as error:
            message = f"unknown level of support {error.part!r}"
            yield TableProblem(row.line, message, error.suggestion)
            continue
        if promise is None or promise.status is None or promise.specifiers:
            near = table.vocabulary.nearest("statuses", level)
            yield TableProblem(row.line, f"unknown level of support {plain(level)!r}", near)
            continue
        until = (("until", promise.until),) if promise.until else ()
        for branch in branches:
            yield ClaimDraft(
                ClaimKind.BRANCH,
                "ddtrace",
                series(branch),
                plain(release),
                promise.status,
                row.line,
                (*until, *row.notes),
            )


READER = TableReader(ClaimKind.BRANCH, 30, lambda table: table.has("release", "level"), _read)
