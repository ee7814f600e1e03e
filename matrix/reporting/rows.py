"""Verdicts that a reader takes in as one: rows with evidence in a line, and untested claims.

All of the evidence stands in the JSON. Pure.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from matrix.judging.sentences import evidence_sentences, evidence_text
from matrix.model.claim import Claim, ClaimKind
from matrix.model.fact import FactKind
from matrix.model.reason import Reason
from matrix.model.service import ServiceKind, against
from matrix.model.verdict import Outcome, PartVerdict, Verdict
from matrix.reporting.breakage import breakage_of
from matrix.reporting.text import platform_text, python_ranges, scope_text, shorten

SHOWN_FIRST = (Outcome.REFUTED, Outcome.CONFIRMED, Outcome.UNVERIFIED)
"""The order of outcomes in reports: tested claims come before untested ones."""
WORST_FIRST = (Outcome.REFUTED, Outcome.UNVERIFIED, Outcome.CONFIRMED)
# Kinds of claims about libraries: equal confirmed claims on several libraries are one row.
_OF_LIBRARIES = frozenset({ClaimKind.FRAMEWORK, ClaimKind.AUTHENTICATION, ClaimKind.INTEGRATION})


@dataclasses.dataclass(frozen=True)
class VerdictRow:
    """Claims with one answer: one promise, in one or several documents, or similar promises.

    `verdicts` are those of the claims, in their order.
    """

    verdicts: tuple[Verdict, ...]
    claims: tuple[Claim, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict on the first claim."""
        return self.verdicts[0]

    @property
    def parts(self) -> tuple[int, int]:
        """The number of parts, and of parts with the outcome of the whole.

        A promise in several documents counts once.
        """
        verdict_of = {
            claim.fact: verdict
            for claim, verdict in reversed(list(zip(self.claims, self.verdicts, strict=True)))
        }
        parts = [part for verdict in verdict_of.values() for part in verdict.parts]
        return len(parts), sum(part.outcome is self.verdict.outcome for part in parts)


@dataclasses.dataclass(frozen=True)
class UntestedClaims:
    """Claims of one kind without any planned cell, all for one reason."""

    kind: ClaimKind
    reason: Reason
    claims: tuple[Claim, ...]

    @property
    def subjects(self) -> str:
        """The subjects of the claims, in short: `aiohttp (client, server), bottle`."""
        if self.kind is ClaimKind.RUNTIME:
            return _runtimes(self.claims)
        return _subjects(self.claims)


def group_verdicts(verdicts: Iterable[Verdict], claims: Mapping[str, Claim]) -> list[VerdictRow]:
    """Return rows of verdicts, refuted ones first; equal answers to equal promises are one row.

    Claims on runtimes that differ only in CPython are one row, and so are confirmed claims on
    libraries. Within an outcome the order is that of the verdicts.
    """
    grouped: dict[tuple[object, ...], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        claim = claims[verdict.claim]
        # Evidence against the product itself is kept apart from evidence against a stand-in.
        kinds = frozenset(backend.kind for backend in verdict.backends)
        stands_for = kinds - {ServiceKind.SERVER}
        answer = (verdict.outcome, verdict.tightness, verdict.reason, stands_for)
        grouped[_promised(claim, verdict.outcome), answer].append(verdict)
    made = [
        VerdictRow(tuple(items), tuple(claims[item.claim] for item in items))
        for items in grouped.values()
    ]
    return sorted(made, key=lambda row: SHOWN_FIRST.index(row.verdict.outcome))


def group_untested(
    verdicts: Iterable[Verdict], claims: Mapping[str, Claim]
) -> list[UntestedClaims]:
    """Return the claims without any planned cell, by kind and reason, in the order of verdicts."""
    folded: dict[tuple[ClaimKind, Reason], list[Claim]] = defaultdict(list)
    for verdict in verdicts:
        claim = claims[verdict.claim]
        if not verdict.parts and verdict.reason and verdict.outcome is Outcome.UNVERIFIED:
            folded[claim.kind, verdict.reason].append(claim)
    return [UntestedClaims(kind, reason, tuple(items)) for (kind, reason), items in folded.items()]


def _promised(claim: Claim, outcome: Outcome) -> tuple[object, ...]:
    if claim.kind is ClaimKind.RUNTIME:
        scope = tuple(item for item in claim.scope if item[0] != "python")
        return (claim.kind, claim.subject, claim.specifier, claim.status, scope)
    if claim.kind in _OF_LIBRARIES and outcome is Outcome.CONFIRMED:
        return (claim.kind, claim.status, claim.scope)
    return (claim.fact,)


def _subjects(claims: Sequence[Claim]) -> str:
    narrowed: dict[str, dict[str, None]] = defaultdict(dict)
    for claim in claims:
        narrowed[claim.subject][scope_text(claim)] = None
    return ", ".join(
        subject if list(words) == [""] else f"{subject} ({', '.join(filter(None, words))})"
        for subject, words in narrowed.items()
    )


def _runtimes(claims: Sequence[Claim]) -> str:
    """Return the runtimes; platforms with the same CPythons are together."""
    by_target: dict[tuple[str, str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_target[claim.subject, claim.specifier, platform_text(claim)].append(claim)
    platforms: dict[str, list[str]] = defaultdict(list)
    for (subject, specifier, platform), items in by_target.items():
        tracer = f" (ddtrace {specifier})" if specifier else ""
        platforms[f"{subject} {python_ranges(items)}{tracer}"].append(platform)
    return "; ".join(
        f"{runtime} on {', '.join(names)}" if any(names) else runtime
        for runtime, names in platforms.items()
    )


_LEAST = (FactKind.NOTHING_WITHOUT_FEATURE, FactKind.CHOICE)
# A refutation rests on these.
_CONTROLS = frozenset(
    {
        FactKind.CONTROL_SHOWS,
        FactKind.EARLIER_SHOWS,
        FactKind.LIBRARY_MISSING,
        FactKind.SHOWS_BESIDE,
    }
)


def short_evidence(row: VerdictRow, most: int) -> str:
    """Return the line, of at most `most` characters."""
    verdict = row.verdict
    part = _deciding(verdict)
    nowhere = any(fact.kind is FactKind.USABLE_NOWHERE for fact in verdict.facts)
    if part is None or nowhere:
        return shorten(evidence_text(verdict.facts), most)
    own = part.cells[0]
    sentences = list(evidence_sentences(part.facts, own))
    # What it rests on is never left out, nor how far a promise holds.
    ranges = [item for item in sentences if item[0] is FactKind.HOLDS_IN]
    sentences = [item for item in sentences if item not in ranges]
    tail = "".join(f" {text}" for _, text in ranges) + _count(row)
    if sentence := against(each for verdict in row.verdicts for each in verdict.backends):
        tail += f" {sentence}"
    broken = breakage_of(part)
    head = f"{broken.line}." if broken else f"{own.id}:"
    room = most - len(tail)
    while len(_line(head, sentences)) > room and (index := _least(sentences)):
        del sentences[index]
    return shorten(_line(head, sentences), room) + tail


def _least(sentences: list[tuple[FactKind, str]]) -> int:
    """Return the index of the sentence that a reader needs least, 0 where each is needed.

    The control with the feature off goes first: nothing is confirmed without it.
    """
    kinds = [kind for kind, _ in sentences]
    for kind in _LEAST:
        if kind in kinds[1:]:
            return kinds.index(kind, 1)
    others = [index for index, kind in enumerate(kinds) if index and kind not in _CONTROLS]
    return max(others, default=0)


def _line(head: str, sentences: list[tuple[FactKind, str]]) -> str:
    return " ".join([head, *(text for _, text in sentences)])


def _deciding(verdict: Verdict) -> PartVerdict | None:
    """Return the part that the verdict is about; None where an omission decides."""
    for part in verdict.parts:
        if part.outcome is verdict.outcome and part.reason is verdict.reason and part.cells:
            return part
    return None


def _count(row: VerdictRow) -> str:
    count, same = row.parts
    if count <= 1:
        return ""
    verb = {
        Outcome.REFUTED: "fails" if same == 1 else "fail",
        Outcome.CONFIRMED: "hold",
        Outcome.UNVERIFIED: "is open" if same == 1 else "are open",
    }[row.verdict.outcome]
    if same == count:
        return f" {'Both' if count == 2 else f'All {count}'} parts {verb}."  # noqa: PLR2004 - both
    return f" {same} of {count} parts {verb}."
