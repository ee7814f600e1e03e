"""Verdicts that a reader takes in as one: rows of tested claims, and groups of untested ones."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from matrix.model.claim import Claim, ClaimKind
from matrix.model.reason import Reason
from matrix.model.service import ServiceKind
from matrix.model.verdict import Outcome, Verdict
from matrix.reporting.text import platform_text, python_ranges, scope_text

_ORDER = (Outcome.REFUTED, Outcome.CONFIRMED, Outcome.UNVERIFIED)
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
    return sorted(made, key=lambda row: _ORDER.index(row.verdict.outcome))


def group_untested(
    verdicts: Iterable[Verdict], claims: Mapping[str, Claim]
) -> list[UntestedClaims]:
    """Return the claims without any planned cell, by kind and reason, in the order of verdicts."""
    folded: dict[tuple[ClaimKind, Reason], list[Claim]] = defaultdict(list)
    for verdict in verdicts:
        claim = claims[verdict.claim]
        if not verdict.parts and verdict.reason is not None:
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
