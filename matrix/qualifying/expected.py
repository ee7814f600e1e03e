"""What the plan expects for a release: claims, and the parts and cells that must answer them.

Kept as JSON (schema expected/1) beside the statement, so that the gate can be passed again without
the package index.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from matrix.model.cell import Cell
from matrix.model.plan import LeftOut, Plan

__all__ = ["SCHEMA", "Expected", "ExpectedClaim", "ExpectedPart", "expected_of"]

SCHEMA = "expected/1"


@dataclasses.dataclass(frozen=True)
class ExpectedPart:
    """A channel of a probe that must answer in a cell; `holds_without` by showing nothing."""

    probe: str
    channel: str
    cell: str
    holds_without: bool = False


@dataclasses.dataclass(frozen=True)
class ExpectedClaim:
    """A promise about the release. `left_out` are (reason, what) that keep it from an answer."""

    id: str
    parts: tuple[ExpectedPart, ...]
    left_out: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(frozen=True)
class Expected:
    """Every claim that is about the release `ddtrace` (a version)."""

    ddtrace: str
    claims: tuple[ExpectedClaim, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {"schema": SCHEMA, **dataclasses.asdict(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Expected:
        """Return what `to_json` wrote; raise ValueError, KeyError or TypeError."""
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']!r} is not {SCHEMA!r}")
        made = cls(str(data["ddtrace"]), tuple(_claim(one) for one in data["claims"]))
        for claim in made.claims:
            for part in claim.parts:
                if Cell.parse(part.cell).ddtrace != made.ddtrace:
                    raise ValueError(f"{part.cell} is no cell of ddtrace {made.ddtrace}")
        return made


def expected_of(plan: Plan, ddtrace: str) -> Expected:
    """Return what a plan for one release expects.

    What was left out of a claim counts only where nothing of it is asked at all: the plan leaves
    out by choice as well (profiles), and a part that it asks must then answer for the claim.
    """
    parts: dict[str, list[ExpectedPart]] = defaultdict(list)
    for part in plan.parts:
        made = ExpectedPart(part.probe, part.channel, part.minimum, part.holds_without)
        parts[part.claim].append(made)
    left: dict[str, list[LeftOut]] = defaultdict(list)
    for item in plan.left_out:
        left[item.claim].append(item)
    return Expected(
        ddtrace,
        tuple(
            ExpectedClaim(
                claim.id,
                tuple(dict.fromkeys(parts[claim.id])),
                ()
                if parts[claim.id]
                else tuple((item.reason.value, item.what) for item in left[claim.id]),
            )
            for claim in plan.claims
        ),
    )


def _claim(data: Mapping[str, Any]) -> ExpectedClaim:
    return ExpectedClaim(
        str(data["id"]),
        tuple(ExpectedPart(**one) for one in data["parts"]),
        tuple((str(reason), str(what)) for reason, what in data["left_out"]),
    )
