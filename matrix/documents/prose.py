"""Read promises in the prose of a page: which Pythons, which systems, which frameworks.

`Python versions 2.7 and 3.4 and onwards are supported.` is read. Other sentences that name a
version or a denial beside a runtime, system or library are reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from matrix.documents.blocks import Text
from matrix.documents.markup import PageProblem
from matrix.documents.table_reader import ClaimDraft, Outcome
from matrix.documents.tables.runtime import pythons
from matrix.documents.text import comparable, phrase_in, plain, sentences, shortened
from matrix.documents.versions import VersionsError, read_versions
from matrix.documents.vocabulary import Vocabulary
from matrix.model.claim import ClaimKind, Status

_SUBJECTS = ("runtimes", "systems", "names", "capabilities", "deployments")
_VERSION = re.compile(r"(?<![\w.])v?\d+\.(?:\d+|x)|(?<![\w.])\d+\+|[<>]=?\s*\d")
_FIRST_VERSION = re.compile(r"[<>=~]+\s*v?\d|(?<![\w.])v?\d")


def read_prose(text: Text, vocabulary: Vocabulary) -> Iterator[Outcome]:
    """Yield the claims of a paragraph's sentences, and a problem for each that is not read."""
    for sentence in sentences(plain(text.text)):
        words = comparable(sentence)
        denied = vocabulary.mentions("denials", words)
        promised = _VERSION.search(words) and vocabulary.mentions("promises", words)
        if not (denied or promised) or not _names_subject(words, vocabulary):
            continue
        claims = [] if denied else _runtime_claims(words, text, vocabulary)
        if claims:
            yield from claims
        else:
            message = f"unread sentence: {shortened(sentence)!r}"
            yield PageProblem(text.line, message)


def _names_subject(words: str, vocabulary: Vocabulary) -> bool:
    groups = (vocabulary.groups.get(group, {}) for group in _SUBJECTS)
    forms = (form for group in groups for written in group.values() for form in written)
    names = vocabulary.forms("prose", "libraries")
    return any(phrase_in(form, words) for form in (*forms, *names) if "*" not in form)


def _runtime_claims(words: str, text: Text, vocabulary: Vocabulary) -> list[ClaimDraft]:
    """Return the claims of a sentence about one runtime's versions, none for any other sentence.

    What stands before the versions must name the runtime and nothing else that has versions.
    """
    first = _FIRST_VERSION.search(words)
    runtime = vocabulary.within("runtimes", words[: first.start()]) if first else None
    others = ("names", "systems", "capabilities", "deployments")
    if not first or not runtime or any(vocabulary.within(group, words) for group in others):
        return []
    fillers = vocabulary.forms("prose", "promises")
    tokens = words[first.start() :].split(" ")
    while tokens:
        written = " ".join(tokens)
        try:
            alternatives = read_versions(written, vocabulary)
        except VersionsError:
            if not any(tokens[-1] in filler.split() for filler in fillers):
                return []
            tokens.pop()
            continue
        return [
            ClaimDraft(
                ClaimKind.RUNTIME,
                runtime[0],
                "",
                written,
                Status.SUPPORTED,
                text.line,
                (("python", python),),
                (python,),
            )
            for python in pythons(alternatives)
        ]
    return []
