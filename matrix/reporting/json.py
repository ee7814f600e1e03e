"""Records as plain JSON values, by `data/schemas/verdicts.schema.json`, and writing of reports."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from matrix.errors import storage_errors
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.fact import facts_to_json
from matrix.model.verdict import Finding, Outcome, PartVerdict, Verdict
from matrix.probes.places import DOCKER, shapes_of
from matrix.reporting.summary import count_run
from matrix.runs.record import CellRecord, Record
from matrix.system.streams import write_exactly
from matrix.system.visible import visible_json

SCHEMA = "verdicts/1"


def record_to_json(record: Record) -> dict[str, Any]:
    """Return a record as plain JSON values."""
    run = record.run
    return {
        "schema": SCHEMA,
        "run": {
            "profile": run.profile,
            "snapshot": run.snapshot,
            "as_of": run.as_of,
            "started": run.started,
            "seconds": round(run.seconds, 3),
            "interrupted": run.interrupted,
            "warnings": list(run.warnings),
            "outcomes": {outcome.value: record.count(outcome) for outcome in Outcome},
            "cells": {
                "run": count_run(record),
                "reused": sum(cell.reused for cell in record.cells),
                "left_out": len(record.omissions),
            },
            "left_out": dict(sorted(Counter(i.reason.value for i in record.omissions).items())),
            "targets": list(run.targets),
            "where": _where(record),
            "lost": run.lost,
        },
        "claims": [claim.to_json() for claim in record.claims],
        "verdicts": [verdict_to_json(verdict) for verdict in record.verdicts],
        "cells": [_cell(cell) for cell in record.cells],
        "left_out": [
            {
                "claim": omission.claim,
                "what": omission.subject,
                "reason": omission.reason.value,
                "detail": omission.detail,
            }
            for omission in record.omissions
        ],
    }


def verdict_to_json(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict as plain JSON values."""
    return {
        "claim": verdict.claim,
        **_answer(verdict),
        "parts": [
            {"probe": part.probe, "channel": part.channel, **_answer(part)}
            for part in verdict.parts
        ],
    }


def _answer(verdict: Verdict | PartVerdict) -> dict[str, Any]:
    return {
        "cells": [cell.id for cell in verdict.cells],
        "outcome": verdict.outcome.value,
        "tightness": verdict.tightness.value if verdict.tightness else None,
        "reason": verdict.reason.value if verdict.reason else None,
        "evidence": evidence_text(verdict.facts),
        "facts": facts_to_json(verdict.facts),
        "remarks": [remark_text(remark) for remark in verdict.remarks],
        "remark_facts": facts_to_json(verdict.remarks),
        "back_ends": [str(backend) for backend in verdict.backends],
        "shapes": list(shapes_of(verdict.cells)),
    }


def _cell(cell: CellRecord) -> dict[str, Any]:
    return {
        "id": cell.id,
        "place": cell.cell.place or (DOCKER if cell.contained else ""),
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
        "back_ends": [str(backend) for backend in cell.backends],
    }


def _where(record: Record) -> list[dict[str, Any]]:
    counts = Counter((cell.where.engine, cell.cell.target) for cell in record.cells if cell.where)
    return [
        {"engine": engine, "target": target, "cells": count}
        for (engine, target), count in counts.items()
    ]


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return a finding as plain JSON values."""
    return {
        "probe": finding.probe,
        "channel": finding.channel,
        "shows": finding.shows.value,
        "reason": finding.reason.value if finding.reason else None,
        "evidence": evidence_text(finding.facts),
        "facts": facts_to_json(finding.facts),
        "repeats": dict(finding.repeats),
        "notes": [evidence_text([note]) for note in finding.notes],
        "note_facts": facts_to_json(finding.notes),
        "back_ends": [str(backend) for backend in finding.backends],
    }


def json_text(data: object) -> str:
    """Return plain JSON values as the text of a file."""
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    # Output of a release may contain half a surrogate pair, which no file can.
    return visible_json(text.encode("utf-8", "replace").decode("utf-8"))


def write_text_json(path: Path, data: object) -> None:
    """Write plain JSON values to `path`, `-` for standard output; raise StorageError."""
    write_text(path, json_text(data))


def write_text(path: Path, text: str) -> None:
    """Write a text to `path`, `-` for standard output; raise StorageError."""
    if str(path) == "-":
        write_exactly(text)
        return
    with storage_errors(f"cannot write {path}", "Give another path.", brief=True):
        path.write_text(text, encoding="utf-8", newline="\n")
