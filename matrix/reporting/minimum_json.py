"""Searches as plain JSON values, by `data/schemas/minimum.schema.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from matrix.audit.ranges import runs_of
from matrix.verify.concluding import conclude
from matrix.verify.minimum import Sought

__all__ = ["SCHEMA", "minimums_to_json"]

SCHEMA = "minimum/1"


def minimums_to_json(found: Iterable[Sought]) -> dict[str, Any]:
    """Return all searches, with every release tried and the cell that answered for it."""
    return {"schema": SCHEMA, "searches": [_search(sought) for sought in found]}


def _search(sought: Sought) -> dict[str, Any]:
    quest = sought.quest
    return {
        "subject": quest.subject,
        "project": quest.project,
        "probe": quest.probe,
        "python": quest.python,
        "target": quest.target,
        "framework": quest.framework or None,
        "ddtrace": quest.ddtrace or None,
        "strategy": "exhaustive" if sought.exhaustive else "bisection",
        "snapshot": quest.snapshot.isoformat(),
        "started": sought.started.isoformat(),
        "seconds": round(sought.seconds, 3),
        "interrupted": sought.interrupted,
        "lost": sought.lost,
        "warnings": list(sought.warnings),
        "releases": {"all": len(quest.releases), "can_be_asked": len(quest.cells)},
        "passed_over": [
            {
                "reason": each.reason.value,
                "detail": each.detail,
                "count": len(each.releases),
                "ranges": [
                    {"first": run.first, "last": run.last, "without": list(run.gaps)}
                    for run in runs_of(quest.releases, each.releases)
                ],
            }
            for each in quest.passed_over
        ],
        "denied": [
            {"claim": claim.id, "document": claim.document, "line": claim.line}
            for claim in quest.denied
        ],
        "remarks": list(quest.remarks),
        "channels": [_channel(sought, name) for name in quest.channels],
        "cells": [
            {
                "id": record.cell,
                "reason": record.reason.value if record.reason else None,
                "detail": record.detail,
                "seconds": record.seconds,
                "reused": record.reused,
                "back_ends": list(record.back_ends),
            }
            for record in sought.records
        ],
    }


def _channel(sought: Sought, name: str) -> dict[str, Any]:
    quest, result = sought.quest, sought.results[name]
    data = result.to_json()
    for tried in data["tried"]:
        tried["cell"] = quest.cells[tried["release"]].cell.id
    conclusions = [conclude(quest, result, promise) for promise in quest.promises]
    return {
        "name": name,
        "promises": [
            {
                "claim": each.promise.claim,
                "document": each.promise.document,
                "line": each.promise.line,
                "as_written": each.promise.as_written,
                "least": each.promise.least,
                "answer": each.agreement.value,
                "said": each.said,
            }
            for each in conclusions
        ],
        **data,
    }
