"""Verdicts that a reader takes in as one: rows for what was tried, folds for what was not. Pure."""

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
# What says the same of several libraries reads better as one promise.
_OF_LIBRARIES = frozenset({ClaimKind.FRAMEWORK, ClaimKind.AUTHENTICATION, ClaimKind.INTEGRATION})


@dataclasses.dataclass(frozen=True)
class VerdictRow:
    """What has one answer: a promise, which several documents may state, or promises alike.

    `verdicts` are those of the claims, in their order.
    """

    verdicts: tuple[Verdict, ...]
    claims: tuple[Claim, ...]

    @property
    def verdict(self) -> Verdict:
        """The first of them."""
        return self.verdicts[0]

    @property
    def parts(self) -> tuple[int, int]:
        """How many parts there are, and how many of them are answered as the whole is.

        A promise that several documents state counts once.
        """
        once = {
            claim.fact: verdict
            for claim, verdict in reversed(list(zip(self.claims, self.verdicts, strict=True)))
        }
        parts = [part for verdict in once.values() for part in verdict.parts]
        return len(parts), sum(part.outcome is self.verdict.outcome for part in parts)


@dataclasses.dataclass(frozen=True)
class UntestedClaims:
    """Claims of one kind that no cell was planned for, all for one reason."""

    kind: ClaimKind
    reason: Reason
    claims: tuple[Claim, ...]

    @property
    def subjects(self) -> str:
        """What they promise, as short as can be: `aiohttp (client, server), bottle`."""
        of_runtimes = self.kind is ClaimKind.RUNTIME
        return _runtimes(self.claims) if of_runtimes else _subjects(self.claims)


def group_verdicts(verdicts: Iterable[Verdict], claims: Mapping[str, Claim]) -> list[VerdictRow]:
    """Return the verdicts, equal answers to equal promises as one, refuted ones first.

    Runtimes that differ in their CPython only are one, and so are confirmed libraries. Within an
    outcome the order is that of the verdicts.
    """
    grouped: dict[tuple[object, ...], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        claim = claims[verdict.claim]
        # What was seen against the product itself is not told with what was not.
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
    """Return what no cell was planned for, by kind and reason, in the order of the verdicts."""
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
    """Return the runtimes, the platforms that share their CPythons together."""
    by_target: dict[tuple[str, str, str], list[Claim]] = defaultdict(list)
    for claim in claims:
        by_target[claim.subject, claim.specifier, platform_text(claim)].append(claim)
    platforms: dict[str, list[str]] = defaultdict(list)
    for (subject, specifier, platform), items in by_target.items():
        of = f" (ddtrace {specifier})" if specifier else ""
        platforms[f"{subject} {python_ranges(items)}{of}"].append(platform)
    return "; ".join(
        f"{words} on {', '.join(on)}" if any(on) else words for words, on in platforms.items()
    )
