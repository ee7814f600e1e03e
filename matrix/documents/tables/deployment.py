"""Deployment types: each capability's column says for each of them whether it is supported."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.documents.promise import PromiseError, read_promise
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    TableProblem,
    TableReader,
)
from matrix.documents.text import plain, slug
from matrix.model.claim import ClaimKind, Status

__all__ = ["READER"]


def _read(grid: ClaimTable) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, TableProblem):
            yield row
            continue
        name = row["deployment"]
        deployment = grid.vocabulary.exactly("deployments", name)
        if deployment is None:
            near = grid.vocabulary.nearest("deployments", name)
            yield TableProblem(row.line, f"{plain(name)!r} is no known deployment type", near)
            continue
        for column, cell in row.support:
            try:
                promise = read_promise(cell, grid.vocabulary)
            except PromiseError as error:
                message = f"{error.part!r} says neither yes nor no of {column.written!r}"
                yield TableProblem(row.line, message, error.suggestion)
                continue
            until = (("until", promise.until),) if promise.until else ()
            for specifier in promise.specifiers or ("",):
                yield ClaimDraft(
                    ClaimKind.DEPLOYMENT,
                    column.capability,
                    specifier,
                    plain(cell),
                    promise.status or Status.SUPPORTED,
                    row.line,
                    (("deployment", deployment), *until, *row.aside),
                    (slug(column.written),),
                )


READER = TableReader(ClaimKind.DEPLOYMENT, 20, lambda grid: grid.has("deployment", SUPPORT), _read)
