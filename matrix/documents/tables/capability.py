"""Capabilities and the oldest tracer that has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.documents.promise import PromiseError, read_promise
from matrix.documents.table_reader import ClaimDraft, ClaimTable, Outcome, TableProblem, TableReader
from matrix.documents.text import comparable, plain, slug
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

__all__ = ["READER", "named_capability"]


def named_capability(cell: str, vocabulary: Vocabulary) -> tuple[str, Status | None] | None:
    """Return the capability that a cell names, and the status that stands behind the name.

    None where words are left over: `Threat Detection for carrots` is not Threat Detection.
    """
    text = comparable(cell)
    found = vocabulary.within("capabilities", text)
    if found is None:
        return None
    key, form = found
    rest = re.sub(r"[()\[\]]", " ", text.replace(form, " ", 1))
    status = None
    if said := vocabulary.within("statuses", rest):
        status = Status(said[0])
        rest = rest.replace(said[1], " ", 1)
    left = rest.strip(" :-*")
    if left and vocabulary.exactly("capabilities", left) != key:
        return None
    return key, status


def _read(grid: ClaimTable) -> Iterator[Outcome]:
    for row in grid.rows():
        if isinstance(row, TableProblem):
            yield row
            continue
        name, cell = row["capability"], row["minimum"]
        if not plain(cell):
            yield TableProblem(row.line, f"no version and no status for {plain(name)!r}")
            continue
        named = named_capability(name, grid.vocabulary)
        if named is None:
            near = grid.vocabulary.nearest("capabilities", name)
            yield TableProblem(row.line, f"{plain(name)!r} is no known capability", near)
            continue
        try:
            promise = read_promise(cell, grid.vocabulary)
        except PromiseError as error:
            message = f"{error.part!r} is neither a version nor a known status"
            yield TableProblem(row.line, message, error.suggestion)
            continue
        status = promise.status or named[1] or Status.SUPPORTED
        scope = (("until", promise.until),) if promise.until else ()
        for specifier in promise.specifiers or ("",):
            yield ClaimDraft(
                ClaimKind.CAPABILITY,
                named[0],
                specifier,
                plain(cell),
                status,
                row.line,
                (*scope, *row.aside),
                (slug(name),),
            )


READER = TableReader(
    ClaimKind.CAPABILITY, 10, lambda grid: grid.has("capability", "minimum"), _read
)
