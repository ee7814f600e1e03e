"""The words of each language, from `matrix/data/vocabulary/<language>.toml`: data, not code.

A vocabulary is a language's own words with the English ones behind them, because translated
pages mix both. A group maps each known thing to the ways in which it is written; `*` in a written
form stands for any text. A new language is a new file.
"""

from __future__ import annotations

import dataclasses
import functools
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matrix.errors import UsageError, nearest
from matrix.places import data_dir
from matrix.reading.words import comparable, phrase_in

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["FALLBACK", "Vocabulary", "languages", "load_vocabulary", "own_forms"]

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
        near = nearest(language, known)
        raise UsageError(
            f"no vocabulary for language {language!r}"
            + (f"; did you mean {near!r}?" if near else ""),
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
    with (_folder() / f"{language}.toml").open("rb") as file:
        data: dict[str, Any] = tomllib.load(file)
    return data


def _folder() -> Path:
    return data_dir() / "vocabulary"
