"""Findings (per probe channel and cell) and verdicts (per claim): outcomes are data."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

from matrix.model.reason import Reason

__all__ = ["Finding", "Observed", "Outcome", "PartVerdict", "Tightness", "Verdict"]


class Observed(str, enum.Enum):
    """What a probe channel showed in one cell."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class Finding:
    """The judgement of one probe channel in one cell, over all its repeats.

    `reason` says why for UNKNOWN. `evidence` is one sentence a reader accepts. `repeats` counts
    the answers, such as `(("present", 2), ("absent", 1))`. `notes` are remarks that do not
    decide: a crash in the soak, a second vector that showed nothing. `back_ends` are what the app
    was given to talk to, in a capture's words.
    """

    cell: str
    probe: str
    channel: str
    shows: Observed
    evidence: str
    reason: Reason | None = None
    repeats: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()
    back_ends: tuple[str, ...] = ()


class Outcome(str, enum.Enum):
    """The answer. Only CONFIRMED is green."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    UNVERIFIED = "unverified"


class Tightness(str, enum.Enum):
    """Whether a range ends where it must: EXACT when the release beyond its end lacks it.

    EARLIER where the one before the minimum has it, LATER where the first above the upper end has.
    """

    EXACT = "exact"
    EARLIER = "earlier"
    LATER = "later"
    MIXED = "mixed"


@dataclasses.dataclass(frozen=True)
class PartVerdict:
    """The answer for one part of a claim, with the cells it rests on.

    `remarks` are findings beside the answer: a floor that holds and breaks in a later release.
    `back_ends` are those of its cells.
    """

    probe: str
    channel: str
    cells: tuple[str, ...]
    outcome: Outcome
    tightness: Tightness | None
    reason: Reason | None
    evidence: str
    remarks: tuple[str, ...] = ()
    back_ends: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The answer to a claim, by its id. `cells` are all cells it rests on, `back_ends` theirs."""

    claim: str
    outcome: Outcome
    tightness: Tightness | None
    reason: Reason | None
    evidence: str
    cells: tuple[str, ...] = ()
    parts: tuple[PartVerdict, ...] = ()
    remarks: tuple[str, ...] = ()
    back_ends: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the verdict as plain JSON values."""
        data: dict[str, Any] = _plain(dataclasses.asdict(self))
        return data


def _plain(value: Any) -> Any:  # noqa: ANN401 - walks any JSON-like value
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
