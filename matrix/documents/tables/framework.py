"""Frameworks: from which version, with which capabilities."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from matrix.documents.promise import PromiseError, read_promise
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Name,
    Outcome,
    RowCells,
    TableProblem,
    TableReader,
    read_name,
)
from matrix.documents.text import plain, slug
from matrix.documents.versions import VersionsError, read_versions, specifiers
from matrix.model.claim import ClaimKind, Status

__all__ = ["READER", "VersionedName", "named_versions"]


@dataclasses.dataclass(frozen=True)
class VersionedName:
    """What a row is about: a name, specifiers, and what the versions' cell says of support."""

    name: Name
    specifiers: tuple[str, ...]
    status: Status


def named_versions(grid: ClaimTable, row: RowCells) -> VersionedName | TableProblem:
    """Return the name in a row's first column, the versions it is promised for, and the status."""
    role = next(role for role in ("framework", "library", "datastore") if grid.has(role))
    name = read_name(row[role], grid.vocabulary)
    if name is None:
        return TableProblem(row.line, "a row without a name")
    if not plain(row["versions"]):
        return TableProblem(row.line, f"no version for {plain(row[role])}")
    try:
        found = specifiers(read_versions(row["versions"], grid.vocabulary))
        return VersionedName(name, found, Status.SUPPORTED)
    except VersionsError as error:
        part = error.part
    try:
        promise = read_promise(row["versions"], grid.vocabulary)
    except PromiseError:
        near = grid.vocabulary.nearest("versions", part)
        return TableProblem(row.line, f"{part!r} is no version of {plain(row[role])}", near)
    return VersionedName(name, promise.specifiers or ("",), promise.status or Status.SUPPORTED)


def _read(grid: ClaimTable) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, TableProblem):
            yield row
            continue
        named = named_versions(grid, row)
        if isinstance(named, TableProblem):
            yield named
            continue
        if not row.support:
            yield from _drafts(row, named, "", named.status, ())
        for column, cell in row.support:
            try:
                promise = read_promise(cell, grid.vocabulary)
            except PromiseError as error:
                message = f"{error.part!r} says neither yes nor no of {column.written!r}"
                yield TableProblem(row.line, message, error.suggestion)
                continue
            scope = [("capability", column.capability)]
            if promise.until:
                scope.append(("until", promise.until))
            if promise.specifiers:
                scope.append(("note", "ddtrace " + " or ".join(promise.specifiers)))
            status = promise.status or named.status
            yield from _drafts(row, named, column.written, status, tuple(scope))


def _drafts(
    row: RowCells,
    named: VersionedName,
    header: str,
    status: Status,
    scope: tuple[tuple[str, str], ...],
) -> Iterator[ClaimDraft]:
    name = named.name
    merged = {key: value for pairs in (scope, name.scope) for key, value in pairs}
    notes = [
        value for pairs in (scope, name.scope, row.aside) for key, value in pairs if key == "note"
    ]
    if notes:
        merged["note"] = "; ".join(notes)
    for specifier in named.specifiers:
        yield ClaimDraft(
            ClaimKind.FRAMEWORK,
            name.subject,
            specifier,
            plain(row["versions"]),
            status,
            row.line,
            tuple(merged.items()),
            (specifier, slug(header)),
        )


READER = TableReader(
    ClaimKind.FRAMEWORK,
    50,
    lambda grid: (
        grid.has("framework", "versions") and (grid.has(SUPPORT) or not grid.has("automatic"))
    ),
    _read,
)
