"""Read claims from texts: notes, and bullet lists in place of tables.

Notes are sentences recognized by words of the vocabulary. A note's `as_written` is the matched
words, never its sentence. The database API's note is one claim that names its databases in the
scope's `note`. List items look like `Django 2.0+` or `Alpine Linux (musl) x86-64`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from matrix.documents.source import Heading, Text
from matrix.documents.table_reader import ClaimDraft, Outcome, TableProblem, read_name
from matrix.documents.text import comparable, phrase_in, plain
from matrix.documents.versions import VersionsError, read_versions, series, specifiers
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

_KINDS = {
    "frameworks": ClaimKind.FRAMEWORK,
    "web-frameworks": ClaimKind.FRAMEWORK,
    "datastores": ClaimKind.INTEGRATION,
    "libraries": ClaimKind.INTEGRATION,
    "runtimes": ClaimKind.RUNTIME,
}
_SYSTEM_SECTIONS = {"runtimes", "compatibility"}
_ITEM = re.compile(r"(?P<name>[^\W\d][\w .+/-]*?)[ :]+(?P<versions>(?:[<>=~]|v?\d).*)")


def read_list_item(text: Text, section: str, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claims of a bullet of a name and versions, or None for any other text."""
    if text.kind == "bullet" and section in _SYSTEM_SECTIONS:
        systems = _systems(text, vocabulary)
        if systems is not None:
            return systems
    kind = _KINDS.get(section)
    item = _ITEM.fullmatch(plain(text.text))
    if kind is None or item is None or text.kind != "bullet":
        return None
    name = read_name(item["name"], vocabulary)
    try:
        alternatives = read_versions(item["versions"], vocabulary)
    except VersionsError:
        return None
    if name is None or not alternatives:
        return None
    claimed: list[tuple[str, str, tuple[tuple[str, str], ...]]]
    if kind is ClaimKind.RUNTIME:
        runtime = vocabulary.exactly("runtimes", item["name"])
        if runtime is None:
            return None
        claimed = [
            (runtime, "", (("python", series(alternative)),)) for alternative in alternatives
        ]
    else:
        claimed = [(name.subject, specifier, ()) for specifier in specifiers(alternatives)]
    written = item["versions"]
    return [
        ClaimDraft(
            kind, subject, specifier, written, Status.SUPPORTED, text.line, scope, (specifier,)
        )
        for subject, specifier, scope in claimed
    ]


def _systems(text: Text, vocabulary: Vocabulary) -> list[ClaimDraft] | None:
    """Return the claims of `Windows (msvc) x86, x86-64`: one for each processor."""
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
_SECTIONS_WITHOUT_CLAIMS = {"", "reading"}
_NAMED = re.compile(r"\{([a-z-]+)\}")
_MAX_SHOWN = 60
_VERSIONED = re.compile(r"(?<![\w.])v?\d+\.\d+|\d\+")
_NUMBER = re.compile(r"\d+(?:\.\d+)+")


@dataclasses.dataclass(frozen=True)
class _Match:
    """A note of which a text contains some words; `required` is the number that identifies it."""

    subject: str
    words: tuple[str, ...]
    required: int
    capability: str

    @property
    def share(self) -> float:
        """Return the share of the required words that the text contains."""
        return len(self.words) / self.required


def section_of(headings: tuple[Heading, ...], vocabulary: Vocabulary) -> str:
    """Return the section of the innermost known heading, "" if none is known."""
    for heading in reversed(headings):
        section = vocabulary.exactly("sections", heading.text)
        if section is not None and section not in _TRANSPARENT:
            return section
    if any(vocabulary.exactly("sections", heading.text) for heading in headings):
        return "page"
    return ""


def read_note(text: Text, vocabulary: Vocabulary) -> Iterator[Outcome]:
    """Yield the claims of a text, or a problem if it looks like a claim but is not recognized.

    Such texts are: a table row outside any table; a bullet under a heading whose bullets are claims
    (frameworks, data stores, logins, ...); a text that begins like a note; and a text under such a
    heading that denies support.
    """
    section = section_of(text.headings, vocabulary)
    problem = _stray_row(text)
    if problem is not None:
        yield problem
        return
    whole = comparable(text.text)
    if not whole:
        return
    matches = list(_matches(text, whole, vocabulary))
    complete = [match for match in matches if len(match.words) == match.required]
    for match in complete:
        yield _draft(match, text, whole, section, vocabulary)
    listed = None if complete else read_list_item(text, section, vocabulary)
    if listed is not None:
        yield from listed
    if complete or listed is not None:
        return
    if any(form in whole for form in vocabulary.forms("prose", "harmless")):
        return
    if _looks_like_claim(text, whole, section, vocabulary):
        near = max(matches, key=lambda match: match.share, default=None)
        words = plain(text.text)
        shown = (
            words
            if len(words) <= _MAX_SHOWN
            else words[:_MAX_SHOWN].rstrip() + "\N{HORIZONTAL ELLIPSIS}"
        )
        yield TableProblem(text.line, f"unrecognized note: {shown!r}", near.subject if near else "")


def _matches(text: Text, whole: str, vocabulary: Vocabulary) -> Iterator[_Match]:
    """Yield the best match of each subject that matches at all."""
    bullets_only = set(vocabulary.forms("prose", "bullet-notes"))
    for subject, alternatives in vocabulary.notes.items():
        if text.kind != "bullet" and subject in bullets_only:
            continue
        matches = [_match(subject, item, whole, vocabulary) for item in alternatives]
        best = max(filter(None, matches), key=lambda match: match.share, default=None)
        if best is not None and best.words:
            yield best


def _match(
    subject: str, alternative: tuple[str, ...], whole: str, vocabulary: Vocabulary
) -> _Match | None:
    words: list[str] = []
    capability = ""
    required = 0
    for form in alternative:
        if form.startswith("!"):
            if comparable(form[1:]) in whole:
                return None
            continue
        required += 1
        if placeholder := _NAMED.fullmatch(form):
            capability = placeholder[1]
            names = vocabulary.forms("capabilities", capability)
            words += [name for name in names if phrase_in(name, whole)][:1]
        elif (word := comparable(form)) in whole:
            words.append(word)
    return _Match(subject, tuple(words), required, capability)


def _draft(
    match: _Match, text: Text, whole: str, section: str, vocabulary: Vocabulary
) -> ClaimDraft:
    counts = [sum(word in comparable(line) for word in match.words) for line in text.lines]
    nearest_line = counts.index(max(counts))
    sentence = comparable(text.lines[nearest_line]) if max(counts) == len(match.words) else whole
    denied = any(form in sentence for form in vocabulary.forms("prose", "denials"))
    scope = [("capability", match.capability)] if match.capability else []
    if match.subject == "db-api":
        mentions = [
            (sentence.find(form), key)
            for key, forms in vocabulary.groups.get("databases", {}).items()
            for form in forms
            if phrase_in(form, sentence)
        ]
        databases = dict.fromkeys(key for _, key in sorted(mentions))
        if databases:
            scope.append(("note", ", ".join(databases)))
    version = _NUMBER.search(sentence) if match.subject.endswith("-minimum") else None
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
                text.line + offset, f"table row outside any table: {line.strip()[:_MAX_SHOWN]!r}"
            )
    return None


def _looks_like_claim(text: Text, whole: str, section: str, vocabulary: Vocabulary) -> bool:
    if any(
        re.match(rf"{re.escape(lead)}\s*:", whole)
        for lead in vocabulary.forms("prose", "note-leads")
    ):
        return True
    if section in _SECTIONS_WITHOUT_CLAIMS:
        # Under an unknown heading, a bullet with a version in it is still a claim.
        return section == "" and text.kind == "bullet" and bool(_VERSIONED.search(whole))
    return text.kind == "bullet" or any(
        form in whole for form in vocabulary.forms("prose", "denials")
    )
