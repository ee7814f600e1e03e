"""Notes: the promises that stand in bullets and sentences, known by the words of the vocabulary.

The database API's note is one claim that names its databases in the scope's `note`. `as_written`
of a note is the words by which it was known, never its sentence.

Lists in place of tables: bullets such as `Django 2.0+` or `Alpine Linux (musl) x86-64`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from matrix.documents.markdown import Heading, Text
from matrix.documents.table_reader import ClaimDraft, Outcome, TableProblem, read_name
from matrix.documents.text import comparable, phrase_in, plain
from matrix.documents.versions import VersionsError, read_versions, series, specifiers
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

__all__ = ["read_listed", "read_note", "section_of"]

_KINDS = {
    "frameworks": ClaimKind.FRAMEWORK,
    "web-frameworks": ClaimKind.FRAMEWORK,
    "datastores": ClaimKind.INTEGRATION,
    "libraries": ClaimKind.INTEGRATION,
    "runtimes": ClaimKind.RUNTIME,
}
_SYSTEM_SECTIONS = {"runtimes", "compatibility"}
_ITEM = re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)[ :]+(?P<versions>(?:[<>=~]|v?\d).*)")


def read_listed(text: Text, section: str, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return what a bullet of a name and versions promises, or None where it is no such bullet."""
    if text.kind == "bullet" and section in _SYSTEM_SECTIONS:
        systems = _systems(text, vocabulary)
        if systems is not None:
            return systems
    kind = _KINDS.get(section)
    found = _ITEM.fullmatch(plain(text.text))
    if kind is None or found is None or text.kind != "bullet":
        return None
    name = read_name(found["name"], vocabulary)
    try:
        alternatives = read_versions(found["versions"], vocabulary)
    except VersionsError:
        return None
    if name is None or not alternatives:
        return None
    promised: list[tuple[str, str, tuple[tuple[str, str], ...]]]
    if kind is ClaimKind.RUNTIME:
        runtime = vocabulary.exactly("runtimes", found["name"])
        if runtime is None:
            return None
        promised = [(runtime, "", (("python", series(one)),)) for one in alternatives]
    else:
        promised = [(name.subject, one, ()) for one in specifiers(alternatives)]
    written = found["versions"]
    return [
        ClaimDraft(
            kind, subject, specifier, written, Status.SUPPORTED, text.line, scope, (specifier,)
        )
        for subject, specifier, scope in promised
    ]


def _systems(text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return what `Windows (msvc) x86, x86-64` promises: the runtime on each of the processors."""
    written = plain(text.text)
    for space in re.finditer(r" ", written):
        system = vocabulary.exactly("systems", written[: space.start()])
        if system is None:
            continue
        parts = [part for part in re.split(r"[,\u3001]", written[space.end() :]) if part.strip()]
        cpus = [
            vocabulary.exactly(f"cpus-{system}", part) or vocabulary.exactly("cpus", part)
            for part in parts
        ]
        if cpus and all(cpus):
            return [
                ClaimDraft(
                    ClaimKind.RUNTIME,
                    "cpython",
                    "",
                    written,
                    Status.SUPPORTED,
                    text.line,
                    (("os", system), ("cpu", cpu or "")),
                )
                for cpu in cpus
            ]
    return None


_TRANSPARENT = {"capability-notes"}
_SILENT = {"", "reading"}
_NAMED = re.compile(r"\{([a-z-]+)\}")
_SHOWN = 60
_VERSIONED = re.compile(r"(?<![\w.])v?\d+\.\d+|\d\+")
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


@dataclasses.dataclass(frozen=True)
class _Match:
    """How far a text fits one way of writing a note."""

    subject: str
    words: tuple[str, ...]
    wanted: int
    capability: str


def section_of(headings: tuple[Heading, ...], vocabulary: Vocabulary) -> str:
    """Return what the headings above are about, the nearest known one; "" where none is known."""
    for heading in reversed(headings):
        section = vocabulary.exactly("sections", heading.text)
        if section is not None and section not in _TRANSPARENT:
            return section
    if any(vocabulary.exactly("sections", heading.text) for heading in headings):
        return "page"
    return ""


def read_note(text: Text, vocabulary: Vocabulary) -> Iterator[Outcome]:
    """Yield what a text promises; a trouble where it should promise something and is not known.

    That is: a row that stands outside any table; a bullet under a heading whose bullets promise
    (frameworks, data stores, logins, ...); a text that calls itself a note; and a text under such
    a heading that denies support.
    """
    section = section_of(text.headings, vocabulary)
    stray = _stray_row(text)
    if stray is not None:
        yield stray
        return
    whole = comparable(text.text)
    if not whole:
        return
    fits = {match.subject: match for match in _matches(text, whole, vocabulary)}
    known = [match for match in fits.values() if len(match.words) == match.wanted]
    for match in known:
        yield _draft(match, text, whole, section, vocabulary)
    listed = None if known else read_listed(text, section, vocabulary)
    if listed is not None:
        yield from listed
    if known or listed is not None or _harmless(whole, vocabulary):
        return
    if _should_promise(text, whole, section, vocabulary):
        near = max(fits.values(), key=lambda match: len(match.words) / match.wanted, default=None)
        words = plain(text.text)
        shown = (
            words if len(words) <= _SHOWN else words[:_SHOWN].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
        )
        yield TableProblem(text.line, f"no known note: {shown!r}", near.subject if near else "")


def _matches(text: Text, whole: str, vocabulary: Vocabulary) -> Iterator[_Match]:
    """Yield the best fit of each subject that fits at all."""
    bullets_only = set(vocabulary.groups["prose"].get("bullet-notes", ()))
    for subject, alternatives in vocabulary.notes.items():
        if text.kind != "bullet" and subject in bullets_only:
            continue
        best: _Match | None = None
        for alternative in alternatives:
            match = _match(subject, alternative, whole, vocabulary)
            if match and (
                best is None or len(match.words) / match.wanted > len(best.words) / best.wanted
            ):
                best = match
        if best is not None and best.words:
            yield best


def _match(
    subject: str, alternative: tuple[str, ...], whole: str, vocabulary: Vocabulary
) -> _Match | None:
    words: list[str] = []
    capability = ""
    wanted = 0
    for form in alternative:
        if form.startswith("!"):
            if comparable(form[1:]) in whole:
                return None
            continue
        wanted += 1
        if named := _NAMED.fullmatch(form):
            names = vocabulary.forms("capabilities", named[1])
            found = next((name for name in names if phrase_in(name, whole)), None)
            capability = named[1]
        else:
            word = comparable(form)
            found = word if word in whole else None
        if found is not None:
            words.append(found)
    return _Match(subject, tuple(words), wanted, capability)


def _draft(
    match: _Match, text: Text, whole: str, section: str, vocabulary: Vocabulary
) -> ClaimDraft:
    counts = [sum(word in comparable(line) for word in match.words) for line in text.lines]
    nearest_line = counts.index(max(counts))
    here = comparable(text.lines[nearest_line]) if max(counts) == len(match.words) else whole
    denied = any(form in here for form in vocabulary.groups["prose"].get("denials", ()))
    scope = [("capability", match.capability)] if match.capability else []
    if match.subject == "db-api":
        named = [
            (here.find(form), key)
            for key, forms in vocabulary.groups.get("databases", {}).items()
            for form in forms
            if phrase_in(form, here)
        ]
        databases = dict.fromkeys(key for _, key in sorted(named))
        if databases:
            scope.append(("note", ", ".join(databases)))
    version = _NUMBER.search(here) if match.subject.endswith("-minimum") else None
    return ClaimDraft(
        ClaimKind.NOTE,
        match.subject,
        f">={version[0]}" if version else "",
        " \N{HORIZONTAL ELLIPSIS} ".join(match.words),
        Status.NOT_SUPPORTED if denied else Status.SUPPORTED,
        text.line + nearest_line,
        tuple(scope),
        (section or "page",),
    )


def _stray_row(text: Text) -> TableProblem | None:
    for offset, line in enumerate(text.lines):
        if line.lstrip().startswith("|") or "<table" in line.casefold():
            return TableProblem(
                text.line + offset, f"a row outside any table: {line.strip()[:_SHOWN]!r}"
            )
    return None


def _harmless(whole: str, vocabulary: Vocabulary) -> bool:
    return any(form in whole for form in vocabulary.groups["prose"].get("harmless", ()))


def _should_promise(text: Text, whole: str, section: str, vocabulary: Vocabulary) -> bool:
    prose = vocabulary.groups["prose"]
    if any(re.match(rf"{re.escape(lead)}\s*:", whole) for lead in prose.get("note-leads", ())):
        return True
    if section in _SILENT:
        # Under a heading that is not known, a bullet with a version in it still promises.
        return section == "" and text.kind == "bullet" and bool(_VERSIONED.search(whole))
    return text.kind == "bullet" or any(form in whole for form in prose.get("denials", ()))
