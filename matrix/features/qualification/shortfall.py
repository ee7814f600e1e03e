"""Shortfalls of a required claim, by name. Pure."""

from __future__ import annotations

import dataclasses

from matrix.judging.sentences import breakage_line, short_evidence_text
from matrix.model.reason import Reason
from matrix.model.verdict import PartVerdict, Verdict

NAMED = frozenset({Reason.BREAKS_APP.value, Reason.CRASHES.value})
"""Reasons that are the names of ways in which a release fails: the kinds of such shortfalls."""


@dataclasses.dataclass(frozen=True)
class Shortfall:
    """A reason why a claim does not pass: `kind` is from the gate's table, `cell` "" without one.

    `reason` is the typed reason of what is missing or unverified, None where there is none.
    """

    kind: str
    detail: str
    cell: str = ""
    reason: Reason | None = None


def not_confirmed(answer: PartVerdict | Verdict, cell: str = "") -> Shortfall:
    """Return the shortfall of an answer; a way of failing that has a name is called by it."""
    evidence = short_evidence_text(answer.facts)
    if answer.reason is None:
        return Shortfall(answer.outcome.value, evidence, cell)
    if answer.reason.value not in NAMED:
        kind = f"{answer.outcome.value} ({answer.reason.value})"
        return Shortfall(kind, evidence, cell, answer.reason)
    broken = breakage_line(answer.facts)
    detail = f"{broken[1]}. {evidence}" if broken else evidence
    return Shortfall(answer.reason.value, detail, cell, answer.reason)
