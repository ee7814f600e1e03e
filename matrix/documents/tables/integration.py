"""Integrations: web frameworks, data stores and libraries, and whether they need no code."""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.documents.source import NO, YES
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    TableProblem,
    TableReader,
)
from matrix.documents.tables.framework import named_versions
from matrix.documents.text import comparable, plain
from matrix.documents.versions import VersionsError, read_versions, specifiers
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind

__all__ = ["READER"]


def _read(grid: ClaimTable) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, TableProblem):
            yield row
            continue
        named = named_versions(grid, row)
        if isinstance(named, TableProblem):
            yield named
            continue
        name = named.name
        automatic = _automatic(row["automatic"], grid.vocabulary) if grid.has("automatic") else ()
        if automatic is None:
            near = grid.vocabulary.nearest("marks", row["automatic"])
            message = f"{plain(row['automatic'])!r} says neither yes nor no"
            yield TableProblem(row.line, message, near)
            continue
        scope = {**dict(name.scope), **dict(automatic)}
        notes = [value for key, value in (*name.scope, *row.aside) if key == "note"]
        if notes:
            scope["note"] = "; ".join(notes)
        for specifier in named.specifiers:
            yield ClaimDraft(
                ClaimKind.INTEGRATION,
                name.subject,
                specifier,
                plain(row["versions"]),
                named.status,
                row.line,
                tuple(scope.items()),
                (specifier,),
            )


def _automatic(cell: str, vocabulary: Vocabulary) -> tuple[tuple[str, str], ...] | None:
    """Read `yes`, or `> Python 3.7 yes`; None where it is neither."""
    text = comparable(cell).replace(YES, "yes").replace(NO, "no")
    found = vocabulary.within("marks", text)
    if found is None:
        return None
    key, form = found
    rest = text.replace(form, " ", 1)
    condition = re.sub(r"[()\[\]]|(?<![a-z])(?:c?python|if|on|with)(?![a-z])", " ", rest)
    condition = condition.strip(" :")
    if not condition:
        return (("automatic", key),) if not re.search("python", rest) else None
    try:
        pythons = specifiers(read_versions(condition, vocabulary))
    except VersionsError:
        return None
    if len(pythons) != 1 or not pythons[0]:
        return None
    return (("automatic", key), ("automatic_python", pythons[0]))


def _fits(grid: ClaimTable) -> bool:
    named = grid.has("library") or grid.has("datastore")
    with_versions = grid.has("versions") and not grid.has(SUPPORT)
    return with_versions and (named or grid.has("framework", "automatic"))


READER = TableReader(ClaimKind.INTEGRATION, 60, _fits, _read)
