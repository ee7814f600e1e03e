"""All that a page can be asked for about a promise: parts, cells and what their captures hold."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from matrix.model.claim import Claim
from matrix.model.verdict import Outcome, PartVerdict
from matrix.publishing.heat import HeatMap, Line, runtime
from matrix.publishing.pooling import pooled
from matrix.records import CellLine, Record
from matrix.reporting.reasons import load_reasons
from matrix.reporting.words import outcome_word, promise

__all__ = ["Digests", "command", "packed", "proof", "provenance"]

Digests = Callable[[CellLine], "Mapping[str, Any] | None"]
"""What the capture of a cell holds, None where none is kept."""

_DETAIL = 600
_LEFT_OUT = 40
_NONE_KEPT = "No capture of this cell is kept here, so this is all there is to show."
_NO_ROOM = "What was sent and came back did not fit on this page; it lies in the capture."


def command(cell: str) -> str:
    """Return what repeats a cell."""
    return f"python -m matrix reproduce {cell}"


def provenance(claim: Claim) -> dict[str, Any]:
    """Return where a document says it."""
    return {
        "document": claim.document,
        "heading": claim.heading,
        "line": claim.line,
        "written": claim.as_written,
    }


def packed(record: Record, heat: HeatMap, digests: Digests, room: int) -> tuple[str, int]:
    """Return the evidence as base64 of deflated JSON, of at most `room` bytes where possible.

    What does not fit is left out in steps: captures of cells that only accompany, of what is
    confirmed, of what is not refuted, all. The number says how many cells lack theirs.
    """
    seen = {name: digests(record.cell_by_id[name]) for name in _cells(record, heat)}
    made = ""
    for kept in _steps(heat, seen.keys()):
        found = proof(record, heat, {name: seen[name] for name in seen if name in kept}, kept)
        text = json.dumps(pooled(found), ensure_ascii=False, separators=(",", ":"))
        made = base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")
        if len(made) <= room:
            return made, len(seen.keys() - kept)
    return made, len(seen)


def proof(
    record: Record,
    heat: HeatMap,
    seen: Mapping[str, Mapping[str, Any] | None],
    kept: Collection[str],
) -> dict[str, Any]:
    """Return the evidence as plain JSON values: lines by number, cells by number."""
    cells = _cells(record, heat)
    number = {name: at for at, name in enumerate(cells)}
    left_out: dict[str, list[list[str]]] = {}
    for each in record.left_out:
        mine = left_out.setdefault(each.claim, [])
        mine.append([each.what, load_reasons()[each.reason].title, _cut(each.detail)])
    return {
        "lines": [_line(line, number, left_out.get(line.claims[0].id, [])) for line in heat.lines],
        "cells": [_cell(record.cell_by_id[name], seen.get(name), name in kept) for name in cells],
    }


def _cells(record: Record, heat: HeatMap) -> list[str]:
    """Return the cells that any answer rests on, the first mentioned first."""
    named = dict.fromkeys(
        cell for line in heat.lines for part in line.verdict.parts for cell in part.cells
    )
    return [name for name in named if name in record.cell_by_id]


def _steps(heat: HeatMap, everything: Collection[str]) -> list[set[str]]:
    """Return which cells tell all, from all of them to none."""
    parts = [(line.verdict.outcome, part) for line in heat.lines for part in line.verdict.parts]
    return [
        set(everything),
        {name for outcome, part in parts for name in part.cells[: _of(outcome)]},
        {part.cells[0] for _, part in parts},
        {part.cells[0] for outcome, part in parts if outcome is not Outcome.CONFIRMED},
        {part.cells[0] for outcome, part in parts if outcome is Outcome.REFUTED},
        set(),
    ]


def _of(outcome: Outcome) -> int | None:
    return None if outcome is Outcome.REFUTED else 1


def _line(line: Line, number: Mapping[str, int], left_out: list[list[str]]) -> dict[str, Any]:
    verdict = line.verdict
    reason = load_reasons()[verdict.reason] if verdict.reason else None
    return {
        "promise": promise(line.claims[0]),
        "outcome": verdict.outcome.value,
        "word": outcome_word(verdict),
        "evidence": verdict.evidence,
        "remarks": list(verdict.remarks),
        "remedy": reason.remedy_for(next(iter(verdict.cells), "")) if reason else "",
        "back_ends": list(verdict.back_ends),
        "stands": [provenance(claim) for claim in line.claims],
        "parts": [_part(part, number) for part in verdict.parts],
        "left_out": left_out[:_LEFT_OUT],
        "more_left_out": max(len(left_out) - _LEFT_OUT, 0),
    }


def _part(part: PartVerdict, number: Mapping[str, int]) -> dict[str, Any]:
    python, target = runtime(part)
    return {
        "name": f"{part.probe}/{part.channel}",
        "python": python,
        "target": target,
        "outcome": part.outcome.value,
        "word": part.outcome.value
        + (f" ({extra.value})" if (extra := part.tightness or part.reason) else ""),
        "evidence": part.evidence,
        "remarks": list(part.remarks),
        "cells": [number[cell] for cell in part.cells if cell in number],
    }


def _cell(cell: CellLine, seen: Mapping[str, Any] | None, kept: bool) -> dict[str, Any]:  # noqa: FBT001
    reason = load_reasons()[cell.reason].title if cell.reason else ""
    return {
        "id": cell.id,
        "command": command(cell.id),
        "where": str(cell.where) if cell.where else "",
        "isolation": cell.where.isolation if cell.where else "",
        "started": cell.started,
        "seconds": round(cell.seconds, 1),
        "reused": cell.reused,
        "reason": reason,
        "detail": _cut(cell.detail),
        "back_ends": list(cell.back_ends),
        "findings": [
            {
                "name": f"{each.probe}/{each.channel}",
                "shows": each.shows.value,
                "evidence": each.evidence,
                "repeats": [f"{count} {word}" for word, count in each.repeats],
                "notes": list(each.notes),
            }
            for each in cell.findings
        ],
        "seen": seen,
        "unseen": "" if seen else (_NONE_KEPT if kept else _NO_ROOM),
    }


def _cut(text: str) -> str:
    return text if len(text) <= _DETAIL else f"{text[: _DETAIL - 1]}…"
