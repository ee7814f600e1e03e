"""Plans as plain JSON values: whole ones, which are read back strictly, and descriptions.

A whole plan is for another machine to run. A description is for readers of `plan --json`, by
`data/schemas/plan.schema.json`.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.plan import LackingWheel, Omission, Part, Plan, PlannedCell, StaticEvidence
from matrix.model.reason import Reason
from matrix.model.validate import cell_id, count, text

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

SCHEMA = "plan/1"
# Fields of a part and of a cell that a description leaves out.
_NOT_DESCRIBED = {"beside", "contained", "control_channel", "lacking", "repeats"}

_T = TypeVar("_T")


def cells_by_claim(plan: Plan) -> dict[str, set[str]]:
    """Return the ids of the cells to run for each claim, without those in reserve."""
    cells: dict[str, set[str]] = {claim.id: set() for claim in plan.claims}
    for part in plan.parts:
        cells[part.claim].update(cell.id for cell in (*part.required, *part.beyond))
    return cells


def omissions_by_claim(plan: Plan) -> dict[str, Counter[str]]:
    """Return how many omissions each claim has, by reason."""
    omissions: dict[str, Counter[str]] = {claim.id: Counter() for claim in plan.claims}
    for omission in plan.omissions:
        omissions[omission.claim][omission.reason.value] += 1
    return omissions


def describe_plan(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON values, equal for equal plans, byte for byte when dumped."""
    cells, omissions = cells_by_claim(plan), omissions_by_claim(plan)
    targets = Counter(planned.cell.target for planned in plan.cells)
    return {
        "schema": SCHEMA,
        "profile": plan.profile,
        "snapshot": plan.snapshot.isoformat(),
        "totals": {
            "claims": len(plan.claims),
            "parts": len(plan.parts),
            "cells": len(plan.cells),
            "fallbacks": len(plan.fallbacks),
            "targets": {target: targets[target] for target in plan.targets},
            "left_out": dict(sorted(Counter(item.reason.value for item in plan.omissions).items())),
        },
        "claims": [
            {
                "id": claim.id,
                "kind": claim.kind.value,
                "subject": claim.subject,
                "document": claim.document,
                "line": claim.line,
                "cells": len(cells[claim.id]),
                "left_out": dict(sorted(omissions[claim.id].items())),
            }
            for claim in plan.claims
        ],
        "parts": [_described(_part_to_json(part)) for part in plan.parts],
        "cells": [_describe_cell(planned) for planned in plan.cells],
        "fallbacks": [_describe_cell(planned) for planned in plan.fallbacks],
        "left_out": [_omission_to_json(omission) for omission in plan.omissions],
    }


def _described(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in _NOT_DESCRIBED}


def _describe_cell(planned: PlannedCell) -> dict[str, Any]:
    cell = planned.cell
    return {
        "id": cell.id,
        "python": cell.python,
        "target": cell.target,
        "framework": cell.framework,
        "framework_version": cell.framework_version,
        "ddtrace": cell.ddtrace,
        **_described(_cell_to_json(planned)),
    }


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """Return all of a plan as plain JSON values."""
    return {
        "profile": plan.profile,
        "snapshot": plan.snapshot.isoformat(),
        "claims": [claim.to_json() for claim in plan.claims],
        "parts": [_part_to_json(part) for part in plan.parts],
        "cells": [_cell_to_json(planned) for planned in plan.cells],
        "fallbacks": [_cell_to_json(planned) for planned in plan.fallbacks],
        "left_out": [_omission_to_json(omission) for omission in plan.omissions],
        "targets": list(plan.targets),
        "static": [
            {"claim": item.claim, "refutes": item.refutes, "evidence": item.evidence}
            for item in plan.static
        ],
        "candidate": plan.candidate,
    }


def plan_from_json(data: Mapping[str, Any]) -> Plan:
    """Return the plan that `plan_to_json` wrote.

    Raises KeyError, TypeError, ValueError or AttributeError for anything else.
    """
    check_fields(data, *_PLAN)
    snapshot = dt.datetime.fromisoformat(text(data["snapshot"]))
    if snapshot.tzinfo is None:
        raise ValueError(f"{data['snapshot']!r} names no time zone")
    return Plan(
        profile=text(data["profile"]),
        snapshot=snapshot,
        claims=read_tuple(data["claims"], _read_claim),
        parts=read_tuple(data["parts"], _read_part),
        cells=read_tuple(data["cells"], _read_planned_cell),
        fallbacks=read_tuple(data["fallbacks"], _read_planned_cell),
        omissions=read_tuple(data["left_out"], _read_omission),
        targets=read_tuple(data["targets"], text),
        static=read_tuple(data["static"], _read_static),
        candidate=text(data["candidate"]),
    )


def check_fields(data: object, *names: str) -> None:
    """Raise ValueError for a table with other fields, TypeError for anything but a table."""
    if not isinstance(data, dict):
        raise TypeError(f"{data!r:.80} is not a table")
    if unknown := data.keys() - set(names):
        raise ValueError(f"unknown field {min(unknown)!r}")


def read_tuple(values: object, read: Callable[[Any], _T]) -> tuple[_T, ...]:
    """Return a list's values, each as `read` returns it; raise TypeError where it is no list."""
    if not isinstance(values, list):
        raise TypeError(f"{values!r:.80} is not a list")
    return tuple(map(read, values))


def _part_to_json(part: Part) -> dict[str, Any]:
    return {file_name: _value_to_json(getattr(part, name)) for name, file_name in _PART.items()}


def _value_to_json(value: object) -> object:
    if isinstance(value, Cell):
        return value.id
    if isinstance(value, LackingWheel):
        return dataclasses.asdict(value)
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


def _omission_to_json(omission: Omission) -> dict[str, Any]:
    return {
        "claim": omission.claim,
        "what": omission.subject,
        "reason": omission.reason.value,
        "detail": omission.detail,
    }


def _read_claim(data: Mapping[str, Any]) -> Claim:
    check_fields(data, *_CLAIM)
    check_fields(data["scope"], *data["scope"])
    claim = Claim.from_json(data)
    texts = (claim.id, claim.subject, claim.specifier, claim.as_written, claim.document)
    for value in (*texts, claim.language, claim.sha256, claim.heading):
        text(value)
    for pair in claim.scope:
        for value in pair:
            text(value)
    count(claim.line)
    return claim


def _read_part(data: Mapping[str, Any]) -> Part:
    check_fields(data, *_PART.values())
    return Part(
        claim=text(data["claim"]),
        probe=text(data["probe"]),
        channel=text(data["channel"]),
        minimum=_read_cell(data["minimum"]),
        before=_read_optional_cell(data["before"]),
        controls=read_tuple(data["controls"], _read_cell),
        expects_absent=_read_bool(data["holds_without"]),
        contained=_read_bool(data["contained"]),
        control_channel=text(data["control_channel"]),
        pick=text(data["pick"]),
        above=_read_optional_cell(data["above"]),
        choice=text(data["said"]),
        elsewhere=read_tuple(data["elsewhere"], _read_cell),
        later=read_tuple(data["rungs"], _read_cell),
        beside=read_tuple(data["beside"], _read_cell),
        lacking=read_tuple(data["lacking"], _read_wheel),
        beyond=read_tuple(data["beyond"], _read_cell),
    )


def _read_wheel(data: Mapping[str, Any]) -> LackingWheel:
    check_fields(data, *LackingWheel.__dataclass_fields__)
    return LackingWheel(**{name: text(value) for name, value in data.items()})


@functools.lru_cache(maxsize=1 << 16)
def _read_cell(value: object) -> Cell:
    # The parts of a plan name each cell several times.
    return Cell.parse(cell_id(value))


def _read_optional_cell(value: object) -> Cell | None:
    return None if value is None else _read_cell(value)


def _read_bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{value!r} is neither true nor false")
    return value


def _read_planned_cell(data: Mapping[str, Any]) -> PlannedCell:
    check_fields(data, "id", "as_of", "probes", "decisive", "soak", "repeats")
    repeats = count(data["repeats"])
    if repeats == 0:
        raise ValueError(f"{data['id']} runs 0 times")
    return PlannedCell(
        cell=_read_cell(data["id"]),
        as_of=dt.date.fromisoformat(text(data["as_of"])),
        probes=read_tuple(data["probes"], text),
        decisive=read_tuple(data["decisive"], text),
        soak=_read_bool(data["soak"]),
        repeats=repeats,
    )


def _read_omission(data: Mapping[str, Any]) -> Omission:
    check_fields(data, "claim", "what", "reason", "detail")
    return Omission(
        claim=text(data["claim"]),
        subject=text(data["what"]),
        reason=Reason(data["reason"]),
        detail=text(data["detail"]),
    )


def _read_static(data: Mapping[str, Any]) -> StaticEvidence:
    check_fields(data, "claim", "refutes", "evidence")
    return StaticEvidence(
        claim=text(data["claim"]),
        refutes=_read_bool(data["refutes"]),
        evidence=text(data["evidence"]),
    )
