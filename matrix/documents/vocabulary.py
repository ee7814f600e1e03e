"""Vocabularies of the documents' languages, and detection of a document's language.

A vocabulary (`matrix/data/vocabulary/<language>.toml`) has a language's own words followed by the
English ones, because translated pages mix both. A group maps each key to its written forms; `*` in
a form stands for any text.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.documents.source import DocumentSource
from matrix.documents.text import comparable, phrase_in
from matrix.errors import UsageError, did_you_mean, nearest
from matrix.system.files import read_toml
from matrix.system.paths import data_dir

FALLBACK = "en"
OUR_TRACER = "python"


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words of one language, followed by those of the fallback language.

    `groups[group][key]` are the written forms in comparable form. `notes[subject]` are
    alternatives: lists of forms that a text must contain (a leading `!` excludes a form, `{sca}`
    stands for any name of that capability).
    """

    language: str
    groups: Mapping[str, Mapping[str, tuple[str, ...]]]
    notes: Mapping[str, tuple[tuple[str, ...], ...]]

    def exactly(self, group: str, text: str) -> str | None:
        """Return the key of which `text` is a written form, None for other text."""
        text = comparable(text)
        plain_forms, patterns = self._forms(group)
        if text in plain_forms:
            return plain_forms[text]
        return next((key for pattern, key in patterns if pattern.fullmatch(text)), None)

    def within(self, group: str, text: str) -> tuple[str, str] | None:
        """Return the longest written form that `text` contains, after its key; None without one."""
        text = comparable(text)
        plain_forms, _ = self._forms(group)
        longest = max(
            (form for form in plain_forms if phrase_in(form, text)), key=len, default=None
        )
        return None if longest is None else (plain_forms[longest], longest)

    def forms(self, group: str, key: str) -> tuple[str, ...]:
        """Return the written forms of one key, longest first."""
        forms = self.groups.get(group, {}).get(key, ())
        return tuple(sorted(forms, key=len, reverse=True))

    def mentions(self, key: str, text: str) -> bool:
        """Return whether a comparable text has a written form of a key of `[prose]` in it."""
        return any(form in text for form in self.groups.get("prose", {}).get(key, ()))

    def nearest(self, group: str, text: str) -> str:
        """Return the written form that is nearest to `text`, or ""."""
        forms = itertools.chain.from_iterable(self.groups.get(group, {}).values())
        return nearest(comparable(text), (form for form in forms if "*" not in form))

    @functools.lru_cache(maxsize=64)  # noqa: B019 - one vocabulary per language
    def _forms(self, group: str) -> tuple[dict[str, str], list[tuple[re.Pattern[str], str]]]:
        plain_forms: dict[str, str] = {}
        patterns = []
        for key, forms in self.groups.get(group, {}).items():
            for form in forms:
                if "*" in form:
                    parts = (re.escape(part) for part in form.split("*"))
                    patterns.append((re.compile(".*".join(parts)), key))
                else:
                    plain_forms.setdefault(form, key)
        return plain_forms, patterns


def languages() -> tuple[str, ...]:
    """Return the languages that have a vocabulary."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


@functools.cache
def load_vocabulary(language: str) -> Vocabulary:
    """Return the vocabulary of a language; raise `UsageError` for an unknown language."""
    available = languages()
    if language not in available:
        raise UsageError(
            f"unknown language {language!r}{did_you_mean(language, available)}",
            f"Languages: {', '.join(available)}. To add one, add a file to matrix/data/vocabulary.",
        )
    own = _read(language)
    fallback = _read(FALLBACK) if language != FALLBACK else {}
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for data in (own, fallback):
        for group, keys in data.items():
            if group in {"language", "notes"}:
                continue
            for key, forms in keys.items():
                written = tuple(_form(group, form) for form in forms)
                earlier = groups.setdefault(group, {}).get(key, ())
                groups[group][key] = tuple(dict.fromkeys((*earlier, *written)))
    notes: dict[str, tuple[tuple[str, ...], ...]] = {}
    for data in (own, fallback):
        for subject, alternatives in data.get("notes", {}).items():
            notes[subject] = (*notes.get(subject, ()), *map(tuple, alternatives))
    return Vocabulary(language, groups, notes)


def own_forms(language: str, group: str, key: str) -> tuple[str, ...]:
    """Return the written forms of a key as in the language's file, without the fallback's."""
    return tuple(_read(language).get(group, {}).get(key, ()))


def _form(group: str, form: str) -> str:
    """Return a form of the data file in comparable form."""
    if group == "prose" or "*" not in form:
        return comparable(form)
    return "*".join(part and _comparable_part(part) for part in form.split("*"))


def _comparable_part(part: str) -> str:
    """Return a part of a pattern in comparable form, with the spaces beside its wildcards."""
    left = " " if part[:1] == " " else ""
    right = " " if part[-1:] == " " and len(part) > 1 else ""
    return f"{left}{comparable(part)}{right}"


@functools.cache
def _read(language: str) -> dict[str, Any]:
    return read_toml(_folder() / f"{language}.toml")


def _folder() -> Path:
    return data_dir() / "vocabulary"


_KANA = re.compile("[\u3041-\u30ff]")
_HANGUL = re.compile("[\uac00-\ud7a3]")
_LETTER = re.compile(r"[^\W\d_]")
_SCRIPT_SHARE = 0.02
_LINK = re.compile(r"[(\s\"'](?:https?://[^/\s]+)?/([a-z]{2})/")
_FRONT_MATTER_KEYS = ("language", "lang", "locale")


def language_of(source: DocumentSource, body: Sequence[str]) -> str:
    """Return the language of a page; `body` is its Markdown without front matter and tags.

    The front matter or a folder `content/<language>/` decides, else the script, else the words. The
    default is English.
    """
    available = languages()
    declared = [source.front_matter.get(key, "") for key in _FRONT_MATTER_KEYS]
    parts = source.path.absolute().parts
    declared += [child for parent, child in itertools.pairwise(parts) if parent == "content"]
    for code in declared:
        if (short := re.split(r"[-_]", code.casefold())[0]) in available:
            return short
    text = "\n".join(body)
    letters = len(_LETTER.findall(text)) or 1
    kana, hangul = len(_KANA.findall(text)), len(_HANGUL.findall(text))
    if max(kana, hangul) / letters > _SCRIPT_SHARE:
        script = "ja" if kana >= hangul else "ko"
        if script in available:
            return script
    page = comparable(text)
    linked = _LINK.findall(text)
    scores = {
        code: sum(phrase_in(word, page) for word in _distinctive_words(code)) + linked.count(code)
        for code in available
        if code != FALLBACK
    }
    best = max(scores, key=lambda code: (scores[code], code), default=FALLBACK)
    english = sum(phrase_in(word, page) for word in _distinctive_words(FALLBACK))
    return best if scores.get(best, 0) > english else FALLBACK


@functools.cache
def _distinctive_words(code: str) -> frozenset[str]:
    """Return the words that identify a language: its `[prose] telling` list."""
    forms = set(load_vocabulary(code).groups["prose"].get("telling", ()))
    if code != FALLBACK:
        forms -= set(load_vocabulary(FALLBACK).groups["prose"].get("telling", ()))
    return frozenset(forms)
