"""Read tables of frameworks, their versions and the capabilities supported with them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Name,
    Outcome,
    RowCells,
    Scope,
    TableReader,
    merge_scopes,
    read_names,
    read_support,
)
from matrix.documents.text import plain, slug
from matrix.documents.versions import (
    PromiseError,
    VersionsError,
    read_promise,
    read_versions,
    specifiers,
)
from matrix.model.claim import ClaimKind, Status


@dataclasses.dataclass(frozen=True)
class VersionedName:
    """The names and specifiers of a row, and the status in its versions cell or beside a name."""

    names: tuple[Name, ...]
    specifiers: tuple[str, ...]
    status: Status


def read_versioned_name(table: ClaimTable, row: RowCells) -> VersionedName | PageProblem:
    """Return the name in a row's first column with its versions and status."""
    role = next(role for role in ("framework", "library", "datastore") if table.has(role))
    names = read_names(row[role], table.vocabulary)
    if not names:
        if written := plain(row[role]):
            message = f"name of a library not understood: {written!r}"
            return PageProblem(row.line, message, written=row[role])
        return PageProblem(row.line, "row without a name")
    if not plain(row["versions"]):
        return PageProblem(row.line, f"no version for {plain(row[role])}")
    status = next((name.status for name in names if name.status), Status.SUPPORTED)
    try:
        versions = specifiers(read_versions(row["versions"], table.vocabulary))
        return VersionedName(names, versions, status)
    except VersionsError as error:
        part = error.part
    try:
        promise = read_promise(row["versions"], table.vocabulary)
    except PromiseError:
        near = table.vocabulary.nearest("versions", part)
        message = f"invalid version {part!r} of {plain(row[role])}"
        return PageProblem(row.line, message, near, row["versions"])
    return VersionedName(names, promise.specifiers or ("",), promise.status or status)


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    entry = read_versioned_name(table, row)
    if isinstance(entry, PageProblem):
        yield entry
        return
    if not row.support:
        yield from _drafts(row, entry, "", entry.status, ())
    for column, cell in row.support:
        promise = read_support(table, row, column, cell)
        if isinstance(promise, PageProblem):
            yield promise
            continue
        scope = [("capability", column.capability), *promise.scope]
        if promise.specifiers:
            scope.append(("note", "ddtrace " + " or ".join(promise.specifiers)))
        status = promise.status or entry.status
        yield from _drafts(row, entry, column.written, status, tuple(scope))


def _drafts(
    row: RowCells, entry: VersionedName, header: str, status: Status, scope: Scope
) -> Iterator[ClaimDraft]:
    for name, specifier in itertools.product(entry.names, entry.specifiers):
        yield ClaimDraft(
            ClaimKind.FRAMEWORK,
            name.subject,
            specifier,
            plain(row["versions"]),
            status,
            row.line,
            merge_scopes(scope, name.scope, row.notes),
            (specifier, slug(header)),
        )


READER = TableReader(
    ClaimKind.FRAMEWORK,
    50,
    lambda table: (
        table.has("framework", "versions") and (table.has(SUPPORT) or not table.has("automatic"))
    ),
    _read_row,
)
