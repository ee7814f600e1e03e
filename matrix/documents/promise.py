"""Parse a cell about support: a mark, a status word, versions, an end date."""

from __future__ import annotations

import dataclasses
import re

from matrix.documents.source import NO, YES
from matrix.documents.text import comparable, plain
from matrix.documents.versions import VersionsError, read_versions, specifiers
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import Status

_YES = re.compile(
    "[\N{CHECK MARK}\N{HEAVY CHECK MARK}\N{WHITE HEAVY CHECK MARK}\N{BALLOT BOX WITH CHECK}]"
)
_NO = re.compile(
    "[\N{BALLOT X}\N{HEAVY BALLOT X}\N{MULTIPLICATION X}\N{HEAVY MULTIPLICATION X}\N{CROSS MARK}]"
)
_SELECTOR = "\N{VARIATION SELECTOR-16}"


class PromiseError(ValueError):
    """An error for a cell: `part` is not understood, `suggestion` is the nearest known word."""

    def __init__(self, part: str, suggestion: str) -> None:
        super().__init__(part)
        self.part = part
        self.suggestion = suggestion


@dataclasses.dataclass(frozen=True)
class Promise:
    """A status (None if the cell has only versions), versions, and an end date as written."""

    status: Status | None
    specifiers: tuple[str, ...] = ()
    until: str = ""


def read_promise(cell: str, vocabulary: Vocabulary) -> Promise:
    """Return the promise of a cell; raise `PromiseError` for words that are not understood.

    An empty cell, or a dash, means no support.
    """
    text = comparable(cell.replace(_SELECTOR, ""))
    status: Status | None = None
    if not text.strip("-\N{EN DASH}\N{EM DASH}"):
        return Promise(Status.NOT_SUPPORTED)
    for pattern, mark_status in ((_YES, Status.SUPPORTED), (_NO, Status.NOT_SUPPORTED)):
        text, count = pattern.subn(" ", text)
        if count and status is not None:
            raise PromiseError(f"{YES} {NO}", "")
        status = mark_status if count else status
    text, until = _split_until(text, vocabulary)
    if match := vocabulary.within("statuses", text):
        key, form = match
        status = Status(key)
        text = text.replace(form, " ", 1)
    elif status is None and (match := vocabulary.within("marks", text)):
        key, form = match
        status = Status.SUPPORTED if key == "yes" else Status.NOT_SUPPORTED
        text = text.replace(form, " ", 1)
    rest = re.sub(r"[()\[\]]", " ", text).strip(" :.-")
    if not rest:
        return Promise(status, (), _as_written(until, cell))
    try:
        versions = specifiers(read_versions(rest, vocabulary))
    except VersionsError as error:
        near = vocabulary.nearest("statuses", error.part)
        raise PromiseError(error.part, near) from None
    return Promise(status, versions, _as_written(until, cell))


def _as_written(words: str, cell: str) -> str:
    """Return case-folded words as they are written in the cell."""
    match = re.search(re.escape(words), plain(cell), re.IGNORECASE)
    return match[0] if words and match else words


def _split_until(text: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """Return a text without its `until 2024-01`, and that date."""
    for form in vocabulary.forms("versions", "until"):
        before = re.search(rf"(?<!\w){re.escape(form)}\s*:?\s*([^()]*\d[^()]*)", text)
        after = re.search(rf"([0-9][^()]*?)\s*{re.escape(form)}(?!\w)", text)
        match = before or after
        if match:
            return text.replace(match[0], " ", 1), match[1].strip()
    return text, ""
