"""Claims and verdicts in a few words."""

from __future__ import annotations

from collections.abc import Iterable

from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, Verdict

__all__ = ["MARKS", "outcome_word", "place", "promise", "shorten"]

MARKS = {Outcome.CONFIRMED: "✓", Outcome.REFUTED: "✗", Outcome.UNVERIFIED: "?"}


def promise(claim: Claim) -> str:
    """Return what is promised: `capability threat-detection >=1.9.0 (framework=django)`."""
    words = [claim.kind.value, claim.subject]
    if claim.specifier:
        words.append(claim.specifier)
    if claim.status.value != "supported":
        words.append(f"[{claim.status.value}]")
    scope = ", ".join(f"{key} {value}" for key, value in claim.scope)
    return " ".join(words) + (f" ({scope})" if scope else "")


def place(claims: Iterable[Claim]) -> str:
    """Return where it stands: `page.md:12, other.md:3`."""
    return ", ".join(f"{claim.document}:{claim.line}" for claim in claims)


def outcome_word(verdict: Verdict) -> str:
    """Return the outcome with what belongs to it: `confirmed (exact)`, `unverified (crashed)`."""
    extra = verdict.tightness or verdict.reason
    return verdict.outcome.value + (f" ({extra.value})" if extra else "")


def shorten(text: str, most: int) -> str:
    """Return the text on one line, cut at a word where it is longer than `most`."""
    flat = " ".join(text.split())
    if len(flat) <= most:
        return flat
    return f"{flat[: most - 2].rsplit(' ', 1)[0]} …"
