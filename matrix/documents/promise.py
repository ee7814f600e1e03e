"""What a cell says of support: a mark, a status word, versions, a date until which it holds."""

from __future__ import annotations

import dataclasses
import re

from matrix.documents.source import NO, YES
from matrix.documents.text import comparable, plain
from matrix.documents.versions import VersionsError, read_versions, specifiers
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import Status

__all__ = ["Promise", "PromiseError", "read_promise"]

_YES = re.compile(
    "[\N{CHECK MARK}\N{HEAVY CHECK MARK}\N{WHITE HEAVY CHECK MARK}\N{BALLOT BOX WITH CHECK}]"
)
_NO = re.compile(
    "[\N{BALLOT X}\N{HEAVY BALLOT X}\N{MULTIPLICATION X}\N{HEAVY MULTIPLICATION X}\N{CROSS MARK}]"
)
_SELECTOR = "\N{VARIATION SELECTOR-16}"


class PromiseError(ValueError):
    """A cell of which `part` is not understood; `suggestion` is the nearest known word."""

    def __init__(self, part: str, suggestion: str) -> None:
        super().__init__(part)
        self.part = part
        self.suggestion = suggestion


@dataclasses.dataclass(frozen=True)
class Promise:
    """A status (None where the cell gives only versions), versions, and a date as written."""

    status: Status | None
    specifiers: tuple[str, ...] = ()
    until: str = ""


def read_promise(cell: str, vocabulary: Vocabulary) -> Promise:
    """Return what a cell says; raise `PromiseError` for words that are not understood.

    An empty cell, or a dash, says that there is no support.
    """
    text = comparable(cell.replace(_SELECTOR, ""))
    status: Status | None = None
    if not text.strip("-\N{EN DASH}\N{EM DASH}"):
        return Promise(Status.NOT_SUPPORTED)
    for pattern, marked in ((_YES, Status.SUPPORTED), (_NO, Status.NOT_SUPPORTED)):
        text, count = pattern.subn(" ", text)
        if count and status is not None:
            raise PromiseError(f"{YES} {NO}", "")
        status = marked if count else status
    text, until = _until(text, vocabulary)
    if found := vocabulary.within("statuses", text):
        key, form = found
        status = Status(key)
        text = text.replace(form, " ", 1)
    elif status is None and (marked_word := vocabulary.within("marks", text)):
        status = Status.SUPPORTED if marked_word[0] == "yes" else Status.NOT_SUPPORTED
        text = text.replace(marked_word[1], " ", 1)
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
    """Return comparable words with the capitals that they have in the cell."""
    found = re.search(re.escape(words), plain(cell), re.IGNORECASE)
    return found[0] if words and found else words


def _until(text: str, vocabulary: Vocabulary) -> tuple[str, str]:
    """Take `until 2024-01` out of a text."""
    for form in vocabulary.forms("versions", "until"):
        before = re.search(rf"(?<!\w){re.escape(form)}\s*:?\s*([^()]*\d[^()]*)", text)
        after = re.search(rf"([0-9][^()]*?)\s*{re.escape(form)}(?!\w)", text)
        found = before or after
        if found:
            return text.replace(found[0], " ", 1), found[1].strip()
    return text, ""
