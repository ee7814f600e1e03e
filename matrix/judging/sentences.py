"""Facts to sentences, for every report: no other place makes text of facts.

The phrase of each kind of fact stands in `observation_phrases`, `comparison_phrases` or
`claim_phrases`.

`evidence_text` is the whole of it, as files have it. `evidence_sentences` are the same for people,
shorter: repeats that agree, counts of attempts and what an earlier sentence named are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from matrix.judging import claim_phrases, comparison_phrases, observation_phrases
from matrix.judging.words import (
    NestedPhrase,
    Phrase,
    capital,
    cell_id,
    named,
    release_name,
    target_of,
)
from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind

_CLAUSES = 3

# The host, port and data of one process of the app, which are others in the next run.
_OWN_URL = re.compile(r"http://127\.0\.0\.1:\d+(/s[0-9a-f]{15})?")


_MODULES = (observation_phrases, comparison_phrases, claim_phrases)
_PLAIN: Mapping[FactKind, Phrase] = {
    kind: phrase for module in _MODULES for kind, phrase in module.PLAIN.items()
}
_NESTED: Mapping[FactKind, NestedPhrase] = {
    kind: phrase for module in _MODULES for kind, phrase in module.NESTED.items()
}


_WAYS_WITH_IT = {
    "does-not-start": "does not start with it",
    "crashes": "crashes with it",
    "answers-otherwise": "answers otherwise with it",
    "starts-untraced": "is not traced with it once the feature is on",
}


def evidence_text(facts: Iterable[Fact]) -> str:
    """Return all facts as text, each a sentence."""
    return " ".join(filter(None, map(_sentence, facts)))


def remark_text(remark: Fact) -> str:
    """Return a fact that stands beside an answer as text, without a full stop of its own."""
    if remark.kind is FactKind.CHOICE:
        return remark.text("text")
    return _sentence(remark)


def evidence_sentences(
    facts: Sequence[Fact], own: Cell | None = None
) -> Iterator[tuple[FactKind, str]]:
    """Yield short sentences for people, each once, with the kind of the fact that it begins.

    `own` is the cell that the reader is told of beforehand: its release is not named again.
    """
    labels: set[str] = set()
    earlier: set[str] = set()
    for kind, sentence in _short_sentences(facts, own, labels):
        if sentence not in earlier:
            earlier.add(sentence)
            yield kind, sentence


def short_evidence_text(facts: Sequence[Fact]) -> str:
    """Return the short sentences for people as one text."""
    return " ".join(sentence for _, sentence in evidence_sentences(facts))


def breakage_line(facts: Iterable[Fact]) -> tuple[Cell, str] | None:
    """Return the first cell in which the tracer breaks the app, with all that a reader needs.

    None where no fact says so. The line is without a full stop of its own.
    """
    for cell, item in _breakages(facts, None):
        named = f"{release_name(cell, 'both')} on CPython {cell.python}"
        return cell, f"{named}: works without ddtrace, {_WAYS_WITH_IT[item.text('way')]}"
    return None


def _breakages(facts: Iterable[Fact], cell: Cell | None) -> Iterator[tuple[Cell, Fact]]:
    for item in facts:
        own = item.cell or cell
        if item.kind is FactKind.BREAKS_APP and own is not None:
            yield own, item
        yield from _breakages(item.facts, own)


def _sentence(item: Fact) -> str:
    if phrase := _PLAIN.get(item.kind):
        return phrase(item)
    inner = [sentence for sentence in map(_sentence, item.facts) if sentence]
    if prefix := _PREFIXES.get(item.kind):
        return f"{prefix(item)}{' '.join(inner)}"
    return _NESTED[item.kind](item, inner)


def _short_sentences(
    facts: Iterable[Fact], own: Cell | None, labels: set[str]
) -> Iterator[tuple[FactKind, str]]:
    for item in facts:
        if item.kind is FactKind.REPEATS_AGREE:
            continue
        if item.kind in {FactKind.SHOWED, FactKind.LACKED}:
            yield item.kind, _short_stimuli(item, labels)
        elif prefix := _PREFIXES.get(item.kind):
            lead = prefix(item)
            if item.kind is FactKind.RELEASE and item.cell == own:
                lead = ""
            inner = list(_short_sentences(item.facts, own, labels))
            for number, (kind, sentence) in enumerate(inner):
                if number == 0:
                    yield item.kind, f"{lead}{sentence}"
                else:
                    yield kind, sentence
        else:
            yield item.kind, _OWN_URL.sub("", _sentence(item))


def _short_stimuli(item: Fact, labels: set[str]) -> str:
    """Return what stimuli showed or lacked, at most three clauses, a known first label left out."""
    clauses: list[str] = []
    for number, stimulus in enumerate(item.facts):
        name = stimulus.text("stimulus")
        texts = [_OWN_URL.sub("", each.text("text")) for each in stimulus.facts]
        if not (number == 0 and capital(name) in labels):
            texts[:1] = [f"{name}: {text}" for text in texts[:1]]
            if number == 0:
                labels.add(capital(name))
                texts[:1] = map(capital, texts[:1])
        clauses += texts
    clauses = list(dict.fromkeys(clauses))
    if len(clauses) > _CLAUSES:
        return f"{'; '.join(clauses[:_CLAUSES])}; …"
    return f"{'; '.join(clauses)}."


def _denied(item: Fact) -> str:
    denied = "without being asked for" if item.text("channel") else "which the page denies"
    return f"It shows, {denied}: "


# What comes before the sentences of the facts within a fact.
_PREFIXES: Mapping[FactKind, Phrase] = {
    FactKind.RELEASE: lambda item: f"{named(item)}: ",
    FactKind.CONTROL_SHOWS: lambda item: f"{named(item)} in the same environment: ",
    FactKind.EARLIER_SHOWS: lambda item: (
        f"A regression: {named(item)}, an earlier release, shows it there: "
    ),
    FactKind.SEEN_OUTSIDE: lambda _: (
        "Outside of the deployment, in the same environment, it does: "
    ),
    FactKind.SHOWS_OUTSIDE: lambda _: "The same in an ordinary container shows it: ",
    FactKind.LACKS_OUTSIDE: lambda _: "The same in an ordinary container does not show it: ",
    FactKind.SHOWS_BESIDE: lambda item: f"The same release on {target_of(item)} has it: ",
    FactKind.SHOWS_THOUGH_DENIED: _denied,
    FactKind.SEEN_WHEN_ENABLED: lambda item: (
        f"It does where it is asked for ({item.text('channel')}, {cell_id(item)}): "
    ),
}
