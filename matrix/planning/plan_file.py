"""A whole plan to plain JSON values and back, exactly; what is no plan is refused.

`plan --json` tells of a plan for whoever reads it; this is all of it, for another machine to run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.plan import Omission, Part, Plan, PlannedCell, StaticEvidence
from matrix.model.reason import Reason
from matrix.model.validate import cell_id, count, text

__all__ = ["only", "plan_from_json", "plan_to_json", "tuple_of"]

_CLAIM = frozenset(Claim.__dataclass_fields__)
# Fields whose names in the file are older than those of the dataclasses.
_FILE_NAMES = {
    "expects_absent": "holds_without",
    "choice": "said",
    "later": "rungs",
    "omissions": "left_out",
}
_PART = {name: _FILE_NAMES.get(name, name) for name in Part.__dataclass_fields__}
_PLAN = tuple(_FILE_NAMES.get(name, name) for name in Plan.__dataclass_fields__)

_T = TypeVar("_T")


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return all of a plan as plain JSON values."""
    return {
        "profile": plan.profile,
        "snapshot": plan.snapshot.isoformat(),
        "claims": [claim.to_json() for claim in plan.claims],
        "parts": [_part_to_json(part) for part in plan.parts],
        "cells": [_cell_to_json(each) for each in plan.cells],
        "fallbacks": [_cell_to_json(each) for each in plan.fallbacks],
        "left_out": [
            {
                "claim": each.claim,
                "what": each.subject,
                "reason": each.reason.value,
                "detail": each.detail,
            }
            for each in plan.omissions
        ],
        "targets": list(plan.targets),
        "static": [
            {"claim": each.claim, "refutes": each.refutes, "evidence": each.evidence}
            for each in plan.static
        ],
        "candidate": plan.candidate,
    }


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """Return the plan that `plan_to_json` wrote.

    Raises KeyError, TypeError, ValueError or AttributeError for what is none.
    """
    only(data, *_PLAN)
    snapshot = dt.datetime.fromisoformat(text(data["snapshot"]))
    if snapshot.tzinfo is None:
        raise ValueError(f"{data['snapshot']!r} names no time zone")
    return Plan(
        profile=text(data["profile"]),
        snapshot=snapshot,
        claims=tuple_of(data["claims"], _claim),
        parts=tuple_of(data["parts"], _part),
        cells=tuple_of(data["cells"], _cell),
        fallbacks=tuple_of(data["fallbacks"], _cell),
        omissions=tuple_of(data["left_out"], _omission),
        targets=tuple_of(data["targets"], text),
        static=tuple_of(data["static"], _static),
        candidate=text(data["candidate"]),
    )


def only(data: object, *names: str) -> None:
    """Raise ValueError where a table has other names than these, TypeError where it is none."""
    if not isinstance(data, dict):
        raise TypeError(f"{data!r:.80} is no table")
    if strange := data.keys() - set(names):
        raise ValueError(f"nobody knows {min(strange)!r}")


def tuple_of(values: object, one: Callable[[Any], _T]) -> tuple[_T, ...]:
    """Return a list's values, each as `one` reads it; raise TypeError where it is no list."""
    if not isinstance(values, list):
        raise TypeError(f"{values!r:.80} is no list")
    return tuple(map(one, values))


def _part_to_json(part: Part) -> dict[str, Any]:
    return {called: _value_to_json(getattr(part, name)) for name, called in _PART.items()}


def _value_to_json(value: object) -> object:
    if isinstance(value, Cell):
        return value.id
    return [_value_to_json(item) for item in value] if isinstance(value, tuple) else value


def _cell_to_json(planned: PlannedCell) -> dict[str, Any]:
    return {
        "id": planned.cell.id,
        "as_of": planned.as_of.isoformat(),
        "probes": list(planned.probes),
        "decisive": list(planned.decisive),
        "soak": planned.soak,
        "repeats": planned.repeats,
    }


def _claim(data: Mapping[str, Any]) -> Claim:
    only(data, *_CLAIM)
    only(data["scope"], *data["scope"])
    claim = Claim.from_json(data)
    texts = (claim.id, claim.subject, claim.specifier, claim.as_written, claim.document)
    for value in (*texts, claim.language, claim.sha256, claim.heading):
        text(value)
    for pair in claim.scope:
        for value in pair:
            text(value)
    count(claim.line)
    return claim


def _part(data: Mapping[str, Any]) -> Part:
    only(data, *_PART.values())
    return Part(
        claim=text(data["claim"]),
        probe=text(data["probe"]),
        channel=text(data["channel"]),
        minimum=_part_cell(data["minimum"]),
        before=_maybe_cell(data["before"]),
        controls=tuple_of(data["controls"], _part_cell),
        expects_absent=_truth(data["holds_without"]),
        contained=_truth(data["contained"]),
        control_channel=text(data["control_channel"]),
        pick=text(data["pick"]),
        above=_maybe_cell(data["above"]),
        choice=text(data["said"]),
        elsewhere=tuple_of(data["elsewhere"], _part_cell),
        later=tuple_of(data["rungs"], _part_cell),
    )


def _part_cell(value: object) -> Cell:
    return Cell.parse(cell_id(value))


def _maybe_cell(value: object) -> Cell | None:
    return None if value is None else _part_cell(value)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _cell(data: Mapping[str, Any]) -> PlannedCell:
    only(data, "id", "as_of", "probes", "decisive", "soak", "repeats")
    repeats = count(data["repeats"])
    if repeats == 0:
        raise ValueError(f"{data['id']} runs 0 times")
    return PlannedCell(
        cell=_part_cell(data["id"]),
        as_of=dt.date.fromisoformat(text(data["as_of"])),
        probes=tuple_of(data["probes"], text),
        decisive=tuple_of(data["decisive"], text),
        soak=_truth(data["soak"]),
        repeats=repeats,
    )


def _omission(data: Mapping[str, Any]) -> Omission:
    only(data, "claim", "what", "reason", "detail")
    return Omission(
        claim=text(data["claim"]),
        subject=text(data["what"]),
        reason=Reason(data["reason"]),
        detail=text(data["detail"]),
    )


def _static(data: Mapping[str, Any]) -> StaticEvidence:
    only(data, "claim", "refutes", "evidence")
    return StaticEvidence(
        claim=text(data["claim"]),
        refutes=_truth(data["refutes"]),
        evidence=text(data["evidence"]),
    )
