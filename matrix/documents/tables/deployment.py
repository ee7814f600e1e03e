"""Read tables of deployment types with a column of support for each capability.

On a page of serverless deployments, a heading names the deployment and each row is one tracer's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from matrix.documents.headings import deployment_of
from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    RowCells,
    Scope,
    TableReader,
    read_support,
)
from matrix.documents.text import plain, slug
from matrix.documents.vocabulary import OUR_TRACER, Vocabulary
from matrix.model.claim import ClaimKind, Status

_SEVERAL = re.compile(r"[,\u3001/]|<br\s*/?>", re.IGNORECASE)


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    deployment = table.vocabulary.exactly("deployments", row["deployment"])
    if table.vocabulary.exactly("tracers", row["deployment"]) == OUR_TRACER:
        deployment = deployment_of(table.source.headings, table.vocabulary)
        if not deployment:
            message = f"no heading names the deployment of {plain(row['deployment'])!r}"
            yield PageProblem(row.line, message, written=row["deployment"])
            return
    if deployment is None:
        yield table.unknown(row, "deployment", "deployments", "deployment type")
        return
    systems = _systems(row, table.vocabulary)
    if systems is None:
        yield table.unknown(row, "os", "systems", "system")
        return
    for column, cell in row.support:
        promise = read_support(table, row, column, cell)
        if isinstance(promise, PageProblem):
            yield promise
            continue
        for specifier, system in itertools.product(promise.specifiers or ("",), systems):
            yield ClaimDraft(
                ClaimKind.DEPLOYMENT,
                column.capability,
                specifier,
                plain(cell),
                promise.status or Status.SUPPORTED,
                row.line,
                (("deployment", deployment), *system, *promise.scope, *row.notes),
                (slug(column.written), dict(system).get("os", "")),
            )


def _systems(row: RowCells, vocabulary: Vocabulary) -> list[Scope] | None:
    """Return the scope of each system of a row, None for one that is not known."""
    parts = [part for part in _SEVERAL.split(row["os"]) if plain(part)]
    systems = [vocabulary.exactly("systems", part) for part in parts]
    if None in systems:
        return None
    return [(("os", system),) for system in systems if system] or [()]


READER = TableReader(
    ClaimKind.DEPLOYMENT, 20, lambda table: table.has("deployment", SUPPORT), _read_row
)
