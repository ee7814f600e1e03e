"""Read tables of frameworks, their versions and the capabilities supported with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Name,
    Outcome,
    RowCells,
    Scope,
    TableProblem,
    TableReader,
    merge_scopes,
    read_name,
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
    """The name and specifiers of a row, and the status in its versions cell."""

    name: Name
    specifiers: tuple[str, ...]
    status: Status


def read_versioned_name(table: ClaimTable, row: RowCells) -> VersionedName | TableProblem:
    """Return the name in a row's first column with its versions and status."""
    role = next(role for role in ("framework", "library", "datastore") if table.has(role))
    name = read_name(row[role], table.vocabulary)
    if name is None:
        return TableProblem(row.line, "row without a name")
    if not plain(row["versions"]):
        return TableProblem(row.line, f"no version for {plain(row[role])}")
    try:
        versions = specifiers(read_versions(row["versions"], table.vocabulary))
        return VersionedName(name, versions, Status.SUPPORTED)
    except VersionsError as error:
        part = error.part
    try:
        promise = read_promise(row["versions"], table.vocabulary)
    except PromiseError:
        near = table.vocabulary.nearest("versions", part)
        return TableProblem(row.line, f"invalid version {part!r} of {plain(row[role])}", near)
    return VersionedName(name, promise.specifiers or ("",), promise.status or Status.SUPPORTED)


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    entry = read_versioned_name(table, row)
    if isinstance(entry, TableProblem):
        yield entry
        return
    if not row.support:
        yield from _drafts(row, entry, "", entry.status, ())
    for column, cell in row.support:
        promise = read_support(table, row, column, cell)
        if isinstance(promise, TableProblem):
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
    name = entry.name
    for specifier in entry.specifiers:
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
