"""Release branches and their level of support."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.documents.promise import PromiseError, read_promise
from matrix.documents.table_reader import ClaimDraft, ClaimTable, Outcome, TableProblem, TableReader
from matrix.documents.text import plain
from matrix.documents.versions import VersionsError, read_versions, series
from matrix.model.claim import ClaimKind

__all__ = ["READER"]


def _read(grid: ClaimTable) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, TableProblem):
            yield row
            continue
        release, level = row["release"], row["level"]
        try:
            branches = read_versions(release, grid.vocabulary)
        except VersionsError as error:
            yield TableProblem(row.line, f"{error.part!r} is no release branch")
            continue
        if not branches:
            yield TableProblem(row.line, f"no release branch for {plain(level)!r}")
            continue
        try:
            promise = read_promise(level, grid.vocabulary) if plain(level) else None
        except PromiseError as error:
            message = f"{error.part!r} is no known level of support"
            yield TableProblem(row.line, message, error.suggestion)
            continue
        if promise is None or promise.status is None or promise.specifiers:
            near = grid.vocabulary.nearest("statuses", level)
            yield TableProblem(row.line, f"{plain(level)!r} is no known level of support", near)
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
                (*until, *row.aside),
            )


READER = TableReader(ClaimKind.BRANCH, 30, lambda grid: grid.has("release", "level"), _read)
