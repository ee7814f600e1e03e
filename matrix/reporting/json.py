"""A run as plain JSON values, by `data/schemas/verdicts.schema.json`.

Write a report where the user wants it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from matrix.errors import StorageError
from matrix.model.cell import Cell
from matrix.model.verdict import Finding, Outcome
from matrix.reporting.summary import ran
from matrix.runs.result import CellRecord, RunResult

__all__ = [
    "SCHEMA",
    "finding_to_json",
    "json_text",
    "result_to_json",
    "write_text",
    "write_text_json",
]

SCHEMA = "verdicts/1"


def result_to_json(result: RunResult, as_of: str) -> dict[str, Any]:
    """Return everything a run found; `as_of` as in the printed report."""
    plan = result.plan
    return {
        "schema": SCHEMA,
        "run": {
            "profile": plan.profile,
            "snapshot": plan.snapshot.isoformat(),
            "as_of": as_of,
            "started": result.started.isoformat(),
            "seconds": round(result.seconds, 3),
            "interrupted": result.interrupted,
            "warnings": list(result.warnings),
            "outcomes": {outcome.value: result.count(outcome) for outcome in Outcome},
            "cells": {
                "run": ran(result),
                "reused": sum(cell.reused for cell in result.cells),
                "left_out": len(plan.left_out),
            },
            "left_out": dict(sorted(Counter(i.reason.value for i in plan.left_out).items())),
            "targets": list(plan.targets),
            "where": _where(result),
            "lost": result.lost,
        },
        "claims": [claim.to_json() for claim in plan.claims],
        "verdicts": [verdict.to_json() for verdict in result.verdicts],
        "cells": [_cell(cell) for cell in result.cells],
        "left_out": [
            {
                "claim": item.claim,
                "what": item.what,
                "reason": item.reason.value,
                "detail": item.detail,
            }
            for item in plan.left_out
        ],
    }


def _cell(cell: CellRecord) -> dict[str, Any]:
    return {
        "id": cell.cell,
        "outcome": "failed" if cell.reason else "observed",
        "reason": cell.reason.value if cell.reason else None,
        "detail": cell.detail,
        "seconds": cell.seconds,
        "reused": cell.reused,
        "fallback": cell.fallback,
        "started": cell.started,
        "key": cell.key,
        "probes": list(cell.probes),
        "findings": [finding_to_json(finding) for finding in cell.findings],
        "where": cell.where.to_json() if cell.where else None,
        "back_ends": list(cell.back_ends),
    }


def _where(result: RunResult) -> list[dict[str, Any]]:
    counts = Counter(
        (cell.where.engine, Cell.parse(cell.cell).target) for cell in result.cells if cell.where
    )
    return [
        {"engine": engine, "target": target, "cells": count}
        for (engine, target), count in counts.items()
    ]


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return what a channel showed as plain JSON values."""
    return {
        "probe": finding.probe,
        "channel": finding.channel,
        "shows": finding.shows.value,
        "reason": finding.reason.value if finding.reason else None,
        "evidence": finding.evidence,
        "repeats": dict(finding.repeats),
        "notes": list(finding.notes),
        "back_ends": list(finding.back_ends),
    }


def json_text(data: object) -> str:
    """Return plain JSON values as the text of a file."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    # What a release said may hold half a character, which no file can.
    return text.encode("utf-8", "replace").decode("utf-8")


def write_text_json(path: Path, data: object) -> None:
    """Write plain JSON values to `path`, `-` for standard output; raise StorageError."""
    write_text(path, json_text(data))


def write_text(path: Path, text: str) -> None:
    """Write the text likewise."""
    if str(path) == "-":
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "Give another path."
        ) from error
