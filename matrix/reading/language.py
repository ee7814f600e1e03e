"""Which language a page is written in: what is said of it, its script, its words."""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Sequence

from matrix.reading.source import Source
from matrix.reading.vocabulary import FALLBACK, Vocabulary, languages, load_vocabulary
from matrix.reading.words import comparable, phrase_in

__all__ = ["language_of"]

_KANA = re.compile("[\u3041-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_LETTER = re.compile(r"[^\W\d_]")
_SCRIPT_SHARE = 0.02
_LINK = re.compile(r"[(\s\"'](?:https?://[^/\s]+)?/([a-z]{2})/")
_SAID = ("language", "lang", "locale")


def language_of(source: Source, body: Sequence[str]) -> str:
    """Return the language of a page; `body` is its Markdown without front matter and tags.

    What the front matter or a folder `content/<language>/` says counts first, then the script,
    then the words; English where nothing speaks for another language.
    """
    known = languages()
    said = [source.front_matter.get(key, "") for key in _SAID]
    parts = source.path.absolute().parts
    said += [after for before, after in itertools.pairwise(parts) if before == "content"]
    for code in said:
        if (short := re.split(r"[-_]", code.casefold())[0]) in known:
            return short
    text = "\n".join(body)
    letters = len(_LETTER.findall(text)) or 1
    kana, hangul = len(_KANA.findall(text)), len(_HANGUL.findall(text))
    if max(kana, hangul) / letters > _SCRIPT_SHARE:
        script = "ja" if kana >= hangul else "ko"
        if script in known:
            return script
    page = comparable(text)
    linked = _LINK.findall(text)
    scores = {
        code: sum(phrase_in(word, page) for word in _telling(code)) + linked.count(code)
        for code in known
        if code != FALLBACK
    }
    best = max(scores, key=lambda code: (scores[code], code), default=FALLBACK)
    english = sum(phrase_in(word, page) for word in _telling(FALLBACK))
    return best if scores.get(best, 0) > english else FALLBACK


@functools.cache
def _telling(code: str) -> frozenset[str]:
    """Return the words by which a language is known: its `[prose] telling` list."""
    vocabulary: Vocabulary = load_vocabulary(code)
    forms = set(vocabulary.groups["prose"].get("telling", ()))
    if code != FALLBACK:
        forms -= set(load_vocabulary(FALLBACK).groups["prose"].get("telling", ()))
    return frozenset(forms)
