"""Findings (per probe channel and cell) and verdicts (per claim)."""

from __future__ import annotations

import dataclasses
import enum

from matrix.model.cell import Cell
from matrix.model.fact import Fact
from matrix.model.reason import Reason
from matrix.model.service import Backend


class Observed(str, enum.Enum):
    """The observation of a probe channel in one cell."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Finding:
    """The judgement of one probe channel in one cell, over all its repeats.

    `reason` says why for UNKNOWN. `facts` are the evidence. `repeats` counts the observations, such
    as `(("present", 2), ("absent", 1))`. `notes` are facts that do not decide: a crash in the soak,
    a second vector that showed nothing. `backends` are the services that the app was given.
    """

    cell: Cell
    probe: str
    channel: str
    shows: Observed
    facts: tuple[Fact, ...]
    reason: Reason | None = None
    repeats: tuple[tuple[str, int], ...] = ()
    notes: tuple[Fact, ...] = ()
    backends: tuple[Backend, ...] = ()


class Outcome(str, enum.Enum):
    """The answer to a claim or a part of it. Only CONFIRMED is green."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNVERIFIED = "unverified"


class Tightness(str, enum.Enum):
    """The tightness of a range: EXACT where the release beyond its end lacks the feature.

    EARLIER where the release before the minimum has it, LATER where the first above the upper end
    has it.
    """

    EXACT = "exact"
    EARLIER = "earlier"
    LATER = "later"
    MIXED = "mixed"


@dataclasses.dataclass(frozen=True)
class PartVerdict:
    """The verdict on one part of a claim, with the cells it is based on; the first is its own.

    `facts` are the evidence, `remarks` facts beside it: a minimum that holds and a later release
    that breaks. `backends` are those of its cells.
    """

    probe: str
    channel: str
    cells: tuple[Cell, ...]
    outcome: Outcome
    tightness: Tightness | None
    reason: Reason | None
    facts: tuple[Fact, ...]
    remarks: tuple[Fact, ...] = ()
    backends: tuple[Backend, ...] = ()


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The verdict on a claim, by its id, with all cells it is based on and their back ends."""

    claim: str
    outcome: Outcome
    tightness: Tightness | None
    reason: Reason | None
    facts: tuple[Fact, ...]
    cells: tuple[Cell, ...] = ()
    parts: tuple[PartVerdict, ...] = ()
    remarks: tuple[Fact, ...] = ()
    backends: tuple[Backend, ...] = ()
