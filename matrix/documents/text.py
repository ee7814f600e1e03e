"""Normalize Markdown text for comparison: without markup, in one width and case."""

from __future__ import annotations

import functools
import html
import re
import unicodedata

_LINK = re.compile(r"!?\[([^\[\]]*)\][ ]?(?:\[[^\[\]]*\]|\([^()\s]*(?:\s+\"[^\"]*\")?\))")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_IMAGE = re.compile(r"<img\b[^<>]*?\balt\s*=\s*[\"']([^\"']*)[\"'][^<>]*>", re.IGNORECASE)
_FOOTNOTE = re.compile(
    r"\[\^[^\[\]]*\]|<su[pb]\b[^<>]*>[^<>]{0,3}</su[pb]>"
    r"|[\u00b9\u00b2\u00b3\u2070-\u2079\u2020\u2021]+",
    re.IGNORECASE,
)
_HTML = re.compile(r"</?[A-Za-z][^<>]*>")
_GLUED = re.compile(r"(?<=\w)</?[A-Za-z][^<>]*>(?=\w)")
_STRONG = re.compile(r"\*\*|__|`")
_EMPHASIS = re.compile(r"(?<![\w.*])([*_])(?=\S)([^*_]+)(?<=\S)\1(?!\w)")
_SPACE = re.compile(r"\s+")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+(?=[^\W\d_a-z])|(?<=[\u3002\uff01\uff1f])")
_MAX_SHOWN = 60
_EDGES = " \t\n?!:.,;\u00bf\u00a1\u3002"


@functools.lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """Return the words of a piece of Markdown as written, without links, emphasis and HTML.

    Marks of footnotes are left out, pictures are their alternative text.
    """
    text = _FOOTNOTE.sub("", _BREAK.sub(" ", text))
    while (without := _LINK.sub(r"\1", text)) != text:
        text = without
    text = _GLUED.sub(" ", _IMAGE.sub(r"\1", text))
    text = html.unescape(_HTML.sub("", text)).replace("\\|", "|")
    return _SPACE.sub(" ", _EMPHASIS.sub(r"\2", _STRONG.sub("", text))).strip()


@functools.lru_cache(maxsize=4096)
def comparable(text: str) -> str:
    """Return text normalized for comparison: NFKC, case folded, single spaces."""
    text = unicodedata.normalize("NFKC", plain(text)).casefold()
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    text = _SPACE.sub(" ", text).rstrip(_EDGES)
    return text if text.startswith("!=") else text.lstrip(_EDGES)


def sentences(text: str) -> list[str]:
    """Split a text into its sentences; `e.g. 2.7` is none's end."""
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def shortened(text: str) -> str:
    """Return a text, or its beginning with an ellipsis where it is too long for a message."""
    if len(text) <= _MAX_SHOWN:
        return text
    return text[:_MAX_SHOWN].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def phrase_in(phrase: str, text: str) -> bool:
    """Return whether a comparable text contains a comparable phrase at word boundaries.

    Scripts without spaces have no word boundaries; there, any match counts.
    """
    start = text.find(phrase)
    while start >= 0:
        if not (_joined(text, start) or _joined(text, start + len(phrase))):
            return True
        start = text.find(phrase, start + 1)
    return False


def _joined(text: str, index: int) -> bool:
    """Return whether `index` is between two letters or digits of a spaced script."""
    if not 0 < index < len(text):
        return False
    return all(ord(char) < 0x2E80 and char.isalnum() for char in text[index - 1 : index + 1])  # noqa: PLR2004


def slug(text: str) -> str:
    """Return a name normalized as on the package index: `MySQL-python` is `mysql-python`."""
    text = unicodedata.normalize("NFKC", plain(text)).casefold()
    return re.sub(r"[^\w]+|_+", "-", text).strip("-")
