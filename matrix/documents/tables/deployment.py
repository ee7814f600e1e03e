"""Read tables of deployment types with a column of support for each capability."""

from __future__ import annotations

from collections.abc import Iterator

from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    RowCells,
    TableReader,
    read_support,
)
from matrix.documents.text import plain, slug
from matrix.model.claim import ClaimKind, Status


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    deployment = table.vocabulary.exactly("deployments", row["deployment"])
    if deployment is None:
        yield table.unknown(row, "deployment", "deployments", "deployment type")
        return
    for column, cell in row.support:
        promise = read_support(table, row, column, cell)
        if isinstance(promise, PageProblem):
            yield promise
            continue
        for specifier in promise.specifiers or ("",):
            yield ClaimDraft(
                ClaimKind.DEPLOYMENT,
                column.capability,
                specifier,
                plain(cell),
                promise.status or Status.SUPPORTED,
                row.line,
                (("deployment", deployment), *promise.scope, *row.notes),
                (slug(column.written),),
            )


READER = TableReader(
    ClaimKind.DEPLOYMENT, 20, lambda table: table.has("deployment", SUPPORT), _read_row
)
