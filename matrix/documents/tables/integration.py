"""Read tables of integrations: web frameworks, data stores and libraries."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from matrix.documents.markup import NO, YES, PageProblem
from matrix.documents.table_reader import (
    SUPPORT,
    ClaimDraft,
    ClaimTable,
    Outcome,
    RowCells,
    Scope,
    TableReader,
    merge_scopes,
)
from matrix.documents.tables.framework import read_versioned_name
from matrix.documents.text import comparable, plain
from matrix.documents.versions import VersionsError, read_versions, specifiers
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind

_PYTHON = re.compile(r"[<>=](?:2\.7|3(?:\.\d+)?)(?![\d])")


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    entry = read_versioned_name(table, row)
    if isinstance(entry, PageProblem):
        yield entry
        return
    automatic = _automatic(row["automatic"], table.vocabulary) if table.has("automatic") else ()
    if automatic is None:
        near = table.vocabulary.nearest("marks", row["automatic"])
        message = f"neither yes nor no: {plain(row['automatic'])!r}"
        yield PageProblem(row.line, message, near, row["automatic"])
        return
    for name, specifier in itertools.product(entry.names, entry.specifiers):
        yield ClaimDraft(
            ClaimKind.INTEGRATION,
            name.subject,
            specifier,
            plain(row["versions"]),
            entry.status,
            row.line,
            merge_scopes(name.scope, automatic, row.notes),
            (specifier,),
        )


def _automatic(cell: str, vocabulary: Vocabulary) -> Scope | None:
    """Return the scope of `yes`, or of `> Python 3.7 yes`; None for any other cell.

    A version beside it must be one of Python.
    """
    text = comparable(cell).replace(YES, "yes").replace(NO, "no")
    match = vocabulary.within("marks", text)
    if match is None:
        return None
    key, form = match
    rest = text.replace(form, " ", 1)
    condition = re.sub(r"[()\[\]]|(?<![a-z])(?:c?python|if|on|with)(?![a-z])", " ", rest)
    condition = condition.strip(" :")
    if not condition:
        return (("automatic", key),) if not re.search("python", rest) else None
    try:
        pythons = specifiers(read_versions(condition, vocabulary))
    except VersionsError:
        return None
    if len(pythons) != 1 or not pythons[0] or not _PYTHON.search(pythons[0]):
        return None
    return (("automatic", key), ("automatic_python", pythons[0]))


def _fits(table: ClaimTable) -> bool:
    return (
        table.has("versions")
        and not table.has(SUPPORT)
        and (table.has("library") or table.has("datastore") or table.has("framework", "automatic"))
    )


READER = TableReader(ClaimKind.INTEGRATION, 60, _fits, _read_row)
