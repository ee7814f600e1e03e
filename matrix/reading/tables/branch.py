"""Release branches and their level of support."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.model.claim import ClaimKind
from matrix.reading.tables.base import Draft, Grid, Outcome, TableReader, Trouble
from matrix.reading.tables.promise import PromiseError, read_promise
from matrix.reading.versions import VersionsError, read_versions, series
from matrix.reading.words import plain

__all__ = ["READER"]


def _read(grid: Grid) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, Trouble):
            yield row
            continue
        release, level = row["release"], row["level"]
        try:
            branches = read_versions(release, grid.vocabulary)
        except VersionsError as error:
            yield Trouble(row.line, f"{error.part!r} is no release branch")
            continue
        if not branches:
            yield Trouble(row.line, f"no release branch for {plain(level)!r}")
            continue
        try:
            promise = read_promise(level, grid.vocabulary) if plain(level) else None
        except PromiseError as error:
            message = f"{error.part!r} is no known level of support"
            yield Trouble(row.line, message, error.suggestion)
            continue
        if promise is None or promise.status is None or promise.specifiers:
            near = grid.vocabulary.nearest("statuses", level)
            yield Trouble(row.line, f"{plain(level)!r} is no known level of support", near)
            continue
        until = (("until", promise.until),) if promise.until else ()
        for branch in branches:
            yield Draft(
                ClaimKind.BRANCH,
                "ddtrace",
                series(branch),
                plain(release),
                promise.status,
                row.line,
                (*until, *row.aside),
            )


READER = TableReader(ClaimKind.BRANCH, 30, lambda grid: grid.has("release", "level"), _read)
