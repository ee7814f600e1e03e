"""Changes to a document and claims that stay unchanged, and the evidence that they rest on."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from matrix.features.corrections.basis import ObservedFindings
from matrix.features.corrections.edit import Edit
from matrix.features.corrections.page import PageText
from matrix.judging.sentences import evidence_text
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.fact import Fact
from matrix.model.service import Backend, against
from matrix.model.verdict import Outcome, Tightness, Verdict
from matrix.probes.places import shapes_of

ClaimFact: TypeAlias = tuple[str, str, str, str, tuple[tuple[str, str], ...]]
"""The content of a claim without its place in a document: `Claim.fact`."""

_MAX_CELLS = 6


class Action(str, enum.Enum):
    """The kinds of change."""

    MINIMUM = "minimum-corrected"
    LOWER = "minimum-lowered"
    CELL = "cell-turned"
    RUNTIME = "runtime-narrowed"
    ROW = "row-added"
    NOTE = "note-removed"
    TESTED = "range-tested"
    AUTOMATIC = "automatic-corrected"


@dataclasses.dataclass(frozen=True)
class ChangeGround:
    """A claim with its place, its verdict, and the cells that show it, as ground for a change."""

    claim: str
    document: str
    line: int
    outcome: str
    facts: tuple[Fact, ...]
    cells: tuple[Cell, ...]
    backends: tuple[Backend, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the ground as plain JSON values."""
        return {
            "claim": self.claim,
            "document": self.document,
            "line": self.line,
            "outcome": self.outcome,
            "evidence": self.evidence,
            "cells": [cell.id for cell in self.cells],
        }

    @property
    def evidence(self) -> str:
        """Return the facts as text, with the back ends that they were observed against."""
        return f"{evidence_text(self.facts)} {against(self.backends)}".rstrip()


@dataclasses.dataclass(frozen=True)
class DocumentChange:
    """A change of one document. `title` describes it in one line, `caveat` what is not known.

    `removed` and `added` are the facts that the page loses and gains: no others may change.
    """

    action: Action
    document: str
    line: int
    title: str
    edits: tuple[Edit, ...]
    removed: tuple[ClaimFact, ...]
    added: tuple[ClaimFact, ...]
    grounds: tuple[ChangeGround, ...]
    caveat: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the change as plain JSON values."""
        return {
            "action": self.action.value,
            "document": self.document,
            "line": self.line,
            "says": self.title,
            "caveat": self.caveat,
            "grounds": [ground.to_json() for ground in self.grounds],
        }


@dataclasses.dataclass(frozen=True)
class UnchangedClaim:
    """A claim that is not changed though evidence contradicts it, with the reason.

    `refuted` is set where the evidence refutes it: it has to be edited by hand.
    """

    document: str
    line: int
    title: str
    reason: str
    refuted: bool = False
    grounds: tuple[ChangeGround, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the claim as plain JSON values."""
        return {
            "document": self.document,
            "line": self.line,
            "says": self.title,
            "why": self.reason,
            "refuted": self.refuted,
            "grounds": [ground.to_json() for ground in self.grounds],
        }


def ground_for(claim: Claim, verdict: Verdict) -> ChangeGround:
    """Return a claim's verdict as ground for a change, with the cells that decide it."""
    parts = [part for part in verdict.parts if part.outcome is verdict.outcome]
    cells = [cell for part in parts for cell in part.cells] or list(verdict.cells)
    return ChangeGround(
        claim.id,
        claim.document,
        claim.line,
        verdict.outcome.value,
        verdict.facts,
        tuple(dict.fromkeys(cells))[:_MAX_CELLS],
        verdict.backends,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class ClaimCase:
    """All that corrections are derived from: pages by name, verdicts by claim id, findings."""

    pages: Mapping[str, PageText]
    verdicts: Mapping[str, Verdict]
    observed: ObservedFindings

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Return the claims of all documents."""
        return tuple(claim for page in self.pages.values() for claim in page.claims)

    def outcome(self, claim: Claim) -> Outcome:
        """Return the outcome of a claim; one without a verdict is unverified.

        So is one that rests on what stands in for a deployment: no document is changed by it.
        """
        verdict = self.verdicts.get(claim.id)
        if verdict is None or shapes_of(verdict.cells):
            return Outcome.UNVERIFIED
        return verdict.outcome

    def tightness(self, claim: Claim) -> Tightness | None:
        """Return how tight a confirmed minimum is, None for a claim that is not confirmed."""
        confirmed = self.outcome(claim) is Outcome.CONFIRMED
        return self.verdicts[claim.id].tightness if confirmed else None

    def grounds(self, claims: Iterable[Claim]) -> tuple[ChangeGround, ...]:
        """Return the verdicts on claims as grounds for a change."""
        return tuple(ground_for(claim, self.verdicts[claim.id]) for claim in claims)

    def refuted(self, claims: Iterable[Claim]) -> list[Claim]:
        """Return those of the claims that are refuted."""
        return [claim for claim in claims if self.outcome(claim) is Outcome.REFUTED]


Correction: TypeAlias = DocumentChange | UnchangedClaim
