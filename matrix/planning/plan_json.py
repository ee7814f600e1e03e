"""Describe a plan as plain JSON values, by `data/schemas/plan.schema.json`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from matrix.model.cell import Cell
from matrix.model.plan import Omission, Part, Plan, PlannedCell

SCHEMA = "plan/1"


def cells_by_claim(plan: Plan) -> dict[str, set[str]]:
    """Return the ids of the cells to run for each claim, without those in reserve."""
    cells: dict[str, set[str]] = {claim.id: set() for claim in plan.claims}
    for part in plan.parts:
        cells[part.claim].update(cell.id for cell in part.required)
    return cells


def omissions_by_claim(plan: Plan) -> dict[str, Counter[str]]:
    """Return how many omissions each claim has, by reason."""
    omissions: dict[str, Counter[str]] = {claim.id: Counter() for claim in plan.claims}
    for omission in plan.omissions:
        omissions[omission.claim][omission.reason.value] += 1
    return omissions


def plan_to_json(plan: Plan) -> dict[str, Any]:
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
        "parts": [_part(part) for part in plan.parts],
        "cells": [_cell(planned) for planned in plan.cells],
        "fallbacks": [_cell(planned) for planned in plan.fallbacks],
        "left_out": [_omission(item) for item in plan.omissions],
    }


def _part(part: Part) -> dict[str, Any]:
    return {
        "claim": part.claim,
        "probe": part.probe,
        "channel": part.channel,
        "minimum": part.minimum.id,
        "before": part.before.id if part.before else None,
        "controls": _ids(part.controls),
        "holds_without": part.expects_absent,
        "pick": part.pick,
        "above": part.above.id if part.above else None,
        "said": part.choice,
        "elsewhere": _ids(part.elsewhere),
        "rungs": _ids(part.later),
    }


def _ids(cells: Iterable[Cell]) -> list[str]:
    return [cell.id for cell in cells]


def _cell(planned: PlannedCell) -> dict[str, Any]:
    cell = planned.cell
    return {
        "id": cell.id,
        "python": cell.python,
        "target": cell.target,
        "framework": cell.framework,
        "framework_version": cell.framework_version,
        "ddtrace": cell.ddtrace,
        "as_of": planned.as_of.isoformat(),
        "probes": list(planned.probes),
        "decisive": list(planned.decisive),
        "soak": planned.soak,
    }


def _omission(item: Omission) -> dict[str, Any]:
    return {
        "claim": item.claim,
        "what": item.subject,
        "reason": item.reason.value,
        "detail": item.detail,
    }
