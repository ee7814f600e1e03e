"""The words of each language, from `matrix/data/vocabulary/<language>.toml`: data, not code.

A vocabulary is a language's own words with the English ones behind them, because translated
pages mix both. A group maps each known thing to the ways in which it is written; `*` in a written
form stands for any text. A new language is a new file.

Which language a page is written in: what is said of it, its script, its words.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.documents.source import DocumentSource
from matrix.documents.text import comparable, phrase_in
from matrix.errors import UsageError, did_you_mean, nearest
from matrix.system.data_files import read_toml
from matrix.system.paths import data_dir

__all__ = ["FALLBACK", "Vocabulary", "language_of", "languages", "load_vocabulary", "own_forms"]

FALLBACK = "en"


@dataclasses.dataclass(frozen=True, eq=False)
class Vocabulary:
    """The words of one language, the fallback's behind them.

    `groups[group][key]` are the written forms in comparable form, the language's own first.
    `notes[subject]` are alternatives; each is a list of forms that all must stand in a text (a
    leading `!` forbids one, `{sca}` stands for any name of that capability).
    """

    language: str
    groups: Mapping[str, Mapping[str, tuple[str, ...]]]
    notes: Mapping[str, tuple[tuple[str, ...], ...]]

    def exactly(self, group: str, text: str) -> str | None:
        """Return the key of which `text` is a written form."""
        wanted = comparable(text)
        plain_forms, patterns = self._forms(group)
        if wanted in plain_forms:
            return plain_forms[wanted]
        return next((key for pattern, key in patterns if pattern.fullmatch(wanted)), None)

    def within(self, group: str, text: str) -> tuple[str, str] | None:
        """Return the key whose longest written form stands in `text`, and that form."""
        wanted = comparable(text)
        plain_forms, _ = self._forms(group)
        found = [form for form in plain_forms if phrase_in(form, wanted)]
        longest = max(found, key=len, default=None)
        return None if longest is None else (plain_forms[longest], longest)

    def forms(self, group: str, key: str) -> tuple[str, ...]:
        """Return the written forms of one key, longest first."""
        forms = self.groups.get(group, {}).get(key, ())
        return tuple(sorted(forms, key=len, reverse=True))

    def nearest(self, group: str, text: str) -> str:
        """Return the known written form that is nearest to `text`, or ""."""
        known = (form for form in self._every_form(group) if "*" not in form)
        return nearest(comparable(text), known)

    def _every_form(self, group: str) -> Iterator[str]:
        for forms in self.groups.get(group, {}).values():
            yield from forms

    @functools.lru_cache(maxsize=64)  # noqa: B019 - there is one vocabulary per language
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
    """Return the languages that there is a vocabulary for."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


@functools.cache
def load_vocabulary(language: str) -> Vocabulary:
    """Return the vocabulary of a language; raise `UsageError` for one that there is none for."""
    known = languages()
    if language not in known:
        raise UsageError(
            f"no vocabulary for language {language!r}{did_you_mean(language, known)}",
            f"Known languages: {', '.join(known)}. A new one is a file in matrix/data/vocabulary.",
        )
    own = _read(language)
    behind = _read(FALLBACK) if language != FALLBACK else {}
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for data in (own, behind):
        for group, keys in data.items():
            if group in {"language", "notes"}:
                continue
            for key, forms in keys.items():
                written = tuple(_form(group, form) for form in forms)
                have = groups.setdefault(group, {}).get(key, ())
                groups[group][key] = tuple(dict.fromkeys((*have, *written)))
    notes: dict[str, tuple[tuple[str, ...], ...]] = {}
    for data in (own, behind):
        for subject, alternatives in data.get("notes", {}).items():
            notes[subject] = (*notes.get(subject, ()), *map(tuple, alternatives))
    return Vocabulary(language, groups, notes)


def own_forms(language: str, group: str, key: str) -> tuple[str, ...]:
    """Return how a language writes a thing, as its file has it, without the fallback's words."""
    return tuple(_read(language).get(group, {}).get(key, ()))


def _form(group: str, form: str) -> str:
    """Bring a form of the data file into the form that texts are compared in."""
    if group == "prose" or "*" not in form:
        return comparable(form)
    return "*".join(part and _edge_kept(part) for part in form.split("*"))


def _edge_kept(part: str) -> str:
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
_SAID = ("language", "lang", "locale")


def language_of(source: DocumentSource, body: Sequence[str]) -> str:
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
