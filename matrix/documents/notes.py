"""Read claims from texts: notes, which are sentences recognized by words of the vocabulary.

A note's `as_written` is the matched words, never its sentence. The database API's note is one claim
that names its databases in the scope's `note`. A sentence that denies, restricts or negates what it
says in words that are not understood is a problem, never a claim.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterator, Sequence

from matrix.documents.blocks import Text
from matrix.documents.headings import deployment_of, section_of
from matrix.documents.list_items import read_list_item
from matrix.documents.markup import PageProblem
from matrix.documents.prose import read_prose
from matrix.documents.table_reader import ClaimDraft, Outcome
from matrix.documents.text import comparable, phrase_in, plain, sentences, shortened
from matrix.documents.vocabulary import OUR_TRACER, Vocabulary
from matrix.model.claim import ClaimKind, Status

_SECTIONS_WITHOUT_CLAIMS = {"", "reading"}
_NAMED = re.compile(r"\{([a-z-]+)\}")
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


def read_note(text: Text, vocabulary: Vocabulary) -> Iterator[Outcome]:
    """Yield the claims of a text, or a problem if it looks like a claim but is not recognized.

    Such texts are: a table row outside any table; a bullet under a heading whose bullets are claims
    (frameworks, data stores, logins, ...); a text that begins like a note; and a text under such a
    heading that denies support.
    """
    problem = _stray_row(text)
    if problem is not None:
        yield problem
        offset = problem.line - text.line
        rest = ((text.line, text.lines[:offset]), (problem.line + 1, text.lines[offset + 1 :]))
        for line, lines in rest:
            if any(part.strip() for part in lines):
                yield from read_note(dataclasses.replace(text, line=line, lines=lines), vocabulary)
    else:
        yield from _read_text(text, vocabulary)


def _read_text(text: Text, vocabulary: Vocabulary) -> Iterator[Outcome]:
    section = section_of(text.headings, vocabulary)
    whole = comparable(text.text)
    if not whole:
        return
    lead, colon, _ = plain(text.text).partition(":")
    tracer = vocabulary.exactly("tracers", lead) if colon and text.kind == "bullet" else None
    if tracer not in {None, OUR_TRACER}:
        yield PageProblem(text.line, f"skipped a text about the {tracer} tracer", notice=True)
        return
    matches = _matches(text.kind, whole, vocabulary)
    complete = [match for match in matches if len(match.words) == match.required]
    if complete:
        yield from _sentence_claims(complete, text, whole, section, vocabulary)
        return
    listed = read_list_item(text, section, vocabulary)
    if listed is not None:
        yield from listed
        return
    if vocabulary.mentions("harmless", whole):
        return
    if _looks_like_claim(text, whole, section, vocabulary):
        near = max(matches, key=lambda match: match.share, default=None)
        message = f"unrecognized note: {shortened(plain(text.text))!r}"
        yield PageProblem(text.line, message, near.subject if near else "")
    elif text.kind == "paragraph" and section != "reading":
        yield from read_prose(text, vocabulary)


def _sentence_claims(
    complete: Sequence[_Match], text: Text, whole: str, section: str, vocabulary: Vocabulary
) -> Iterator[Outcome]:
    """Yield the claim of each match, judged by its own sentence, and unread denials beside them."""
    parts = {comparable(part): part for part in sentences(plain(text.text))}
    read = set()
    for match in complete:
        own = [part for part in parts if all(word in part for word in match.words)] or [whole]
        read.update(own[:1])
        yield _draft(match, text, own[0], section, vocabulary)
    if whole in read:
        return
    for part, written in parts.items():
        if part in read:
            continue
        if vocabulary.mentions("denials", part) or _doubt(part, vocabulary):
            message = f"unrecognized note: {shortened(written)!r}"
            yield PageProblem(text.line, message, written=written)


def _doubt(sentence: str, vocabulary: Vocabulary) -> str:
    """Return the word of a sentence that restricts what it says, or negates it without a denial."""
    for form in vocabulary.forms("prose", "known-negations"):
        sentence = sentence.replace(form, " ")
    for form in vocabulary.forms("prose", "exceptions"):
        if phrase_in(form, sentence):
            return form
    if vocabulary.mentions("denials", sentence):
        return ""
    negations = vocabulary.forms("prose", "negations")
    return next((form for form in negations if phrase_in(form, sentence)), "")


@functools.lru_cache(maxsize=1024)
def _matches(kind: str, whole: str, vocabulary: Vocabulary) -> tuple[_Match, ...]:
    """Return the best match of each subject that matches at all."""
    found = []
    bullets_only = set(vocabulary.forms("prose", "bullet-notes"))
    for subject, alternatives in vocabulary.notes.items():
        if kind != "bullet" and subject in bullets_only:
            continue
        matches = [_match(subject, item, whole, vocabulary) for item in alternatives]
        best = max(filter(None, matches), key=lambda match: match.share, default=None)
        if best is not None and best.words:
            found.append(best)
    return tuple(found)


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


def _draft(match: _Match, text: Text, own: str, section: str, vocabulary: Vocabulary) -> Outcome:
    """Return the claim of a match; `own` is the sentence that says whether it is denied."""
    whole = comparable(text.text)
    counts = [sum(word in comparable(line) for word in match.words) for line in text.lines]
    nearest_line = counts.index(max(counts))
    sentence = comparable(text.lines[nearest_line]) if max(counts) == len(match.words) else whole
    line = text.line + nearest_line
    if doubt := _doubt(own, vocabulary):
        message = f"note about {match.subject} with words that are not understood: {doubt!r}"
        return PageProblem(line, message)
    denied = vocabulary.mentions("denials", own)
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
    if deployment := deployment_of(text.headings, vocabulary):
        scope.append(("deployment", deployment))
    is_minimum = match.subject.endswith("-minimum")
    version = _NUMBER.search(sentence) if is_minimum else None
    if is_minimum and version is None:
        return PageProblem(line, f"no version in the note about {match.subject}")
    return ClaimDraft(
        ClaimKind.NOTE,
        match.subject,
        f">={version[0]}" if version else "",
        " \N{HORIZONTAL ELLIPSIS} ".join(match.words),
        Status.NOT_SUPPORTED if denied else Status.SUPPORTED,
        line,
        tuple(scope),
        (section or "page",),
    )


def _stray_row(text: Text) -> PageProblem | None:
    for offset, line in enumerate(text.lines):
        if line.lstrip().startswith("|") or "<table" in line.casefold():
            return PageProblem(
                text.line + offset,
                f"table row outside any table: {shortened(line.strip())!r}",
                written=line.strip(),
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
    return text.kind == "bullet" or vocabulary.mentions("denials", whole)
