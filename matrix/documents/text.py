"""Written text made comparable: one form for each word, whatever its width, case or markup."""

from __future__ import annotations

import functools
import html
import re
import unicodedata

__all__ = ["comparable", "phrase_in", "plain", "slug"]

_LINK = re.compile(r"!?\[([^\[\]]*)\][ ]?(?:\[[^\[\]]*\]|\([^()\s]*(?:\s+\"[^\"]*\")?\))")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_HTML = re.compile(r"</?[A-Za-z][^<>]*>")
_STRONG = re.compile(r"\*\*|__|`")
_EMPHASIS = re.compile(r"(?<![\w.*])([*_])(?=\S)([^*_]+)(?<=\S)\1(?!\w)")
_SPACE = re.compile(r"\s+")
_EDGES = " \t\n?!:.,;\u00bf\u00a1\u3002"


@functools.lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return the words of a piece of Markdown, as written, without links, emphasis and HTML."""
    text = _BREAK.sub(" ", text)
    while (without := _LINK.sub(r"\1", text)) != text:
        text = without
    text = html.unescape(_HTML.sub("", text)).replace("\\|", "|")
    return _SPACE.sub(" ", _EMPHASIS.sub(r"\2", _STRONG.sub("", text))).strip()


@functools.lru_cache(maxsize=4096)
def comparable(text: str) -> str:
    """Return the form in which words are compared: NFKC, case folded, single spaces."""
    text = unicodedata.normalize("NFKC", plain(text)).casefold()
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _SPACE.sub(" ", text).strip(_EDGES)


def phrase_in(phrase: str, text: str) -> bool:
    """Say whether a comparable phrase stands in a comparable text, at word boundaries.

    Scripts without spaces have no boundaries: there, any place will do.
    """
    start = text.find(phrase)
    while start >= 0:
        if not (_joined(text, start) or _joined(text, start + len(phrase))):
            return True
        start = text.find(phrase, start + 1)
    return False


def _joined(text: str, at: int) -> bool:
    """Say whether two letters or digits of a spaced script meet at `at`."""
    if not 0 < at < len(text):
        return False
    return all(ord(letter) < 0x2E80 and letter.isalnum() for letter in text[at - 1 : at + 1])  # noqa: PLR2004


def slug(text: str) -> str:
    """Return a name as the package index would normalise it: `MySQL-python` is `mysql-python`."""
    text = unicodedata.normalize("NFKC", plain(text)).casefold()
    return re.sub(r"[^\w]+|_+", "-", text).strip("-")
