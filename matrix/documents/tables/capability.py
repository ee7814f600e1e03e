"""Read tables of capabilities and the oldest tracer that has them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import ClaimDraft, ClaimTable, Outcome, RowCells, TableReader
from matrix.documents.text import comparable, plain, slug
from matrix.documents.versions import PromiseError, read_promise
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

_BRACKETED = re.compile(r"\([^()]*\)")


def read_capability(cell: str, vocabulary: Vocabulary) -> tuple[str, Status | None] | None:
    """Return the capability that a cell names and the status after the name, if any.

    Returns None if there are other words: `Threat Detection for carrots` is not Threat Detection.
    """
    text = comparable(cell)
    match = vocabulary.within("capabilities", text)
    if match is None:
        return None
    key, form = match
    rest = re.sub(r"[()\[\]]", " ", text.replace(form, " ", 1))
    status = None
    if match := vocabulary.within("statuses", rest):
        status = Status(match[0])
        rest = rest.replace(match[1], " ", 1)
    rest = rest.strip(" :-*")
    if rest and vocabulary.exactly("capabilities", rest) != key:
        return None
    return key, status


def _new_capability(cell: str, vocabulary: Vocabulary) -> tuple[str, None] | None:
    """Return the slug of a capability that the vocabulary does not have.

    A name that is nearly a known one is misspelt, and one with other words beside a known one is
    not understood; what is in brackets beside a known one makes another capability of it.
    """
    without_brackets = _BRACKETED.sub(" ", plain(cell))
    if read_capability(without_brackets, vocabulary) is None and (
        vocabulary.nearest("capabilities", cell) or vocabulary.within("capabilities", cell)
    ):
        return None
    return (slug(cell), None) if slug(cell) else None


def _read_row(table: ClaimTable, row: RowCells) -> Iterator[Outcome]:
    name, cell = row["capability"], row["minimum"]
    if not plain(cell):
        yield PageProblem(row.line, f"no version and no status for {plain(name)!r}")
        return
    capability = read_capability(name, table.vocabulary) or _new_capability(name, table.vocabulary)
    if capability is None:
        yield table.unknown(row, "capability", "capabilities", "capability")
        return
    try:
        promise = read_promise(cell, table.vocabulary)
    except PromiseError as error:
        message = f"neither a version nor a known status: {error.part!r}"
        yield PageProblem(row.line, message, error.suggestion, cell)
        return
    subject, status = capability
    for specifier in promise.specifiers or ("",):
        yield ClaimDraft(
            ClaimKind.CAPABILITY,
            subject,
            specifier,
            plain(cell),
            promise.status or status or Status.SUPPORTED,
            row.line,
            (*promise.scope, *row.notes),
            (slug(name),),
        )


READER = TableReader(
    ClaimKind.CAPABILITY, 10, lambda table: table.has("capability", "minimum"), _read_row
)
