"""A change of a document, what it rests on, and what of the claims it is to change."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any, TypeAlias

from matrix.features.corrections.edit import Splice
from matrix.model.claim import Claim
from matrix.model.service import against
from matrix.model.verdict import Verdict

__all__ = ["Action", "ChangeGround", "DocumentChange", "Fact", "UnchangedClaim", "ground_of"]

Fact: TypeAlias = tuple[str, str, str, str, tuple[tuple[str, str], ...]]
"""What is promised, wherever it stands: `Claim.fact`."""

_SHOWN = 3


class Action(str, enum.Enum):
    """What is done to a document."""

    MINIMUM = "minimum-corrected"
    LOWER = "minimum-lowered"
    CELL = "cell-turned"
    RUNTIME = "runtime-narrowed"
    ROW = "row-added"
    NOTE = "note-removed"


@dataclasses.dataclass(frozen=True)
class ChangeGround:
    """What a change rests on: a claim with its place, its verdict, and the cells that show it."""

    claim: str
    document: str
    line: int
    outcome: str
    evidence: str
    cells: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class DocumentChange:
    """One change. `says` tells it in one line, `caveat` what is not known.

    `gone` and `come` are what the page no longer promises and what it promises instead: nothing
    else may change. `claims` are those that it puts right.
    """

    action: Action
    document: str
    line: int
    says: str
    splices: tuple[Splice, ...]
    gone: tuple[Fact, ...]
    come: tuple[Fact, ...]
    grounds: tuple[ChangeGround, ...]
    caveat: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the change as plain JSON values."""
        return {
            "action": self.action.value,
            "document": self.document,
            "line": self.line,
            "says": self.says,
            "caveat": self.caveat,
            "grounds": [ground.to_json() for ground in self.grounds],
        }


@dataclasses.dataclass(frozen=True)
class UnchangedClaim:
    """What is not changed though something speaks against it, and why.

    `refuted` is set where a claim stays that the evidence refutes: to be edited by hand.
    """

    document: str
    line: int
    says: str
    why: str
    refuted: bool = False
    grounds: tuple[ChangeGround, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "document": self.document,
            "line": self.line,
            "says": self.says,
            "why": self.why,
            "refuted": self.refuted,
            "grounds": [ground.to_json() for ground in self.grounds],
        }


def ground_of(claim: Claim, verdict: Verdict) -> ChangeGround:
    """Return a claim's verdict as ground for a change, with the cells that decide it."""
    parts = [part for part in verdict.parts if part.outcome is verdict.outcome]
    cells = [cell for part in parts for cell in part.cells] or list(verdict.cells)
    return ChangeGround(
        claim.id,
        claim.document,
        claim.line,
        verdict.outcome.value,
        f"{verdict.evidence} {against(verdict.back_ends)}".rstrip(),
        tuple(dict.fromkeys(cells))[: 2 * _SHOWN],
    )
