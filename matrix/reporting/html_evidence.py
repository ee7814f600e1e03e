"""A capture cut down to what a reader of a page wants to see of it: sent, returned, traced. Pure.

Everything here was said by releases that nobody should trust, and all of it is bounded: the text of
each field, the fields of each exchange, the exchanges of each finding.

All that a page can be asked for about a promise: parts, cells and what their captures hold.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from matrix.agent.observations import observations_of
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.capture import CellCapture, Exchange, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.probe import Observation, Span
from matrix.model.verdict import Outcome, PartVerdict
from matrix.reporting.html_charts import HeatMap, HeatRow, part_runtime, pool_values
from matrix.reporting.text import load_reasons, outcome_text, promise_text
from matrix.runs.record import CellRecord, Record


_EXCHANGES = 3
_SPANS = 4
_TAGS = 10
_HEADERS = 6
_PROCESSES = 4
_INSTALLED = 40
_BODY = 320
_LONG = 480
_SHORT = 160
# What tells an attack from a visit, and an answer of the tracer from one of the app.
# Of these, so many tell of what the tracer thought of the request.
_FIRST = 5
_HEADERS_FIRST = ("user-agent", "content-type", "x-", "location", "server")
_TAGS_FIRST = (
    "appsec.",
    "_dd.appsec.",
    "_dd.iast.",
    "usr.",
    "_dd.api_security",
    "error.",
    "http.status_code",
    "http.method",
    "http.route",
    "http.url",
    "component",
    "span.kind",
    "db.",
    "out.host",
)


def digest_capture(capture: CellCapture) -> dict[str, Any]:
    """Return it as plain JSON values; what was cut ends with an ellipsis.

    `asked` holds, by `probe/channel`, the first exchanges of the first process that made any, and
    the first of the control with the feature off.
    """
    probing = [process for process in capture.processes if process.purpose == "probe"]
    told = capture.identity
    return {
        "detail": _cut(capture.detail, _LONG),
        "installed": [
            f"{_cut(name, _SHORT)} {_cut(version, _SHORT)}"
            for name, version in sorted(told.installed.items())[:_INSTALLED]
        ]
        if told
        else [],
        "asked": _asked(probing),
        "processes": [_process(process) for process in capture.processes[:_PROCESSES]],
    }


def _asked(processes: Sequence[ProcessCapture]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    controls: dict[str, dict[str, Any]] = {}
    for process in processes:
        wanted = {
            f"{each.probe}/{each.channel}": each.control for each in process.exchanges if each.probe
        }
        if all(name in (controls if off else found) for name, off in wanted.items()):
            continue  # a repeat of what is told already
        fresh: dict[str, list[dict[str, Any]]] = {}
        for sighting in observations_of(process):
            of = sighting.exchange
            name = f"{of.probe}/{of.channel}"
            if not of.probe:
                continue
            if of.control and name not in controls:
                controls[name] = _exchange(sighting, process)
            elif not of.control and name not in found:
                made = fresh.setdefault(name, [])
                if len(made) < _EXCHANGES - 1:
                    made.append(_exchange(sighting, process))
        found.update(fresh)
    for name, control in controls.items():
        found.setdefault(name, []).append(control)
    return found


def _exchange(sighting: Observation, process: ProcessCapture) -> dict[str, Any]:
    of = sighting.exchange
    made = {
        "setting": _cut(process.setting, _SHORT),
        "control": of.control,
        "stimulus": _cut(of.stimulus, _SHORT),
        "sent": _cut(f"{of.method} {of.path}", _LONG),
        "headers": _headers(of.request_headers),
        "body": _cut(of.request_body, _BODY),
        "came": _came(of),
        "answer_headers": _headers(of.headers),
        "answer": _cut(of.body, _BODY),
        "then": _then(of),
        "spans": [_span(span) for span in _telling(sighting)],
        "more_spans": max(len(sighting.spans) + len(sighting.elsewhere) - _SPANS, 0),
    }
    return {name: _named(value, of.shop) for name, value in made.items()}


def _named(value: Any, shop: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value with the random segment of its request by a short name: it tells nothing."""
    if isinstance(value, str):
        return value.replace(shop, "s…") if shop else value
    if isinstance(value, list):
        return [_named(each, shop) for each in value]
    if isinstance(value, dict):
        return {name: _named(each, shop) for name, each in value.items()}
    return value


def _came(of: Exchange) -> str:
    if of.status is not None:
        return f"HTTP {of.status}"
    return _cut(f"no answer: {of.error or 'unknown'}", _LONG)


def _then(of: Exchange) -> str:
    if of.follow_up is None:
        return ""
    status = "no answer" if of.follow_up.status is None else f"HTTP {of.follow_up.status}"
    return _cut(f"GET {of.follow_up.path}: {status}, {of.follow_up.body}", _BODY)


def _telling(sighting: Observation) -> Sequence[Span]:
    """Return the spans that say the most, the root first."""
    rest = [span for span in (*sighting.spans, *sighting.elsewhere) if span is not sighting.root]
    rest.sort(key=lambda span: -sum(_rank(name) < _FIRST for name in span.meta))
    first = [sighting.root] if sighting.root else []
    return [*first, *rest][:_SPANS]


def _span(span: Span) -> dict[str, Any]:
    # The metrics of a span are tags to a reader, and so are its structured values.
    tags: dict[str, Any] = {**span.metrics, **span.meta, **span.meta_struct}
    names = sorted(tags, key=lambda name: (_rank(str(name)), str(name)))
    notable = [name for name in names if _rank(str(name)) < len(_TAGS_FIRST)][:_TAGS]
    return {
        "name": _cut(span.name, _SHORT),
        "resource": _cut(span.resource, _SHORT),
        "service": _cut(span.service, _SHORT),
        "type": _cut(span.type, _SHORT),
        "error": bool(span.error),
        "tags": [[_cut(name, _SHORT), _cut(tags[name], _LONG)] for name in notable],
        "more_tags": len(tags) - len(notable),
    }


def _rank(name: str) -> int:
    return next(
        (at for at, begin in enumerate(_TAGS_FIRST) if name.startswith(begin)), len(_TAGS_FIRST)
    )


def _headers(headers: Mapping[str, str]) -> list[str]:
    notable = [
        (name, value)
        for begin in _HEADERS_FIRST
        for name, value in headers.items()
        if name.lower().startswith(begin)
    ]
    return [f"{_cut(name, _SHORT)}: {_cut(value, _SHORT)}" for name, value in notable[:_HEADERS]]


def _process(process: ProcessCapture) -> dict[str, Any]:
    failed = process.failed is not None or bool(process.exit_code)
    return {
        "setting": _cut(process.setting, _SHORT),
        "purpose": process.purpose,
        "repeat": process.repeat,
        "failed": process.failed.value if process.failed else "",
        "detail": _cut(process.detail, _BODY),
        "exit_code": process.exit_code,
        "heard": _heard(process),
        "pushes": [
            f"remote configuration {push.version}{' taken back' if push.undo else ''}:"
            f" {'acknowledged' if push.acknowledged else 'not acknowledged'}"
            for push in process.pushes[:_EXCHANGES]
        ],
        "log": _tail(process.log, _LONG) if failed else "",
    }


def _heard(process: ProcessCapture) -> list[str]:
    counts = Counter(f"{request.method} {request.path}" for request in process.agent)
    return [f"{_cut(what, _SHORT)} ({count})" for what, count in counts.most_common(_HEADERS)]


def _cut(value: object, most: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _tail(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else f"…{text[1 - most :]}"


Digests = Callable[[CellRecord], "Mapping[str, Any] | None"]
"""What the capture of a cell holds, None where none is kept."""

_DETAIL = 600
_LEFT_OUT = 40
_NONE_KEPT = "No capture of this cell is kept here, so this is all there is to show."
_NO_ROOM = "What was sent and came back did not fit on this page; it lies in the capture."


def reproduce_command(cell: str) -> str:
    """Return what repeats a cell."""
    return f"python -m matrix reproduce {cell}"


def claim_source(claim: Claim) -> dict[str, Any]:
    """Return where a document says it."""
    return {
        "document": claim.document,
        "heading": claim.heading,
        "line": claim.line,
        "written": claim.as_written,
    }


def pack_evidence(record: Record, heat: HeatMap, digests: Digests, room: int) -> tuple[str, int]:
    """Return the evidence as base64 of deflated JSON, of at most `room` bytes where possible.

    What does not fit is left out in steps: captures of cells that only accompany, of what is
    confirmed, of what is not refuted, all. The number says how many cells lack theirs.
    """
    seen = {name: digests(record.cell_records[name]) for name in _cells(record, heat)}
    made = ""
    for kept in _steps(heat, seen.keys()):
        found = build_evidence(
            record, heat, {name: seen[name] for name in seen if name in kept}, kept
        )
        text = json.dumps(pool_values(found), ensure_ascii=False, separators=(",", ":"))
        made = base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")
        if len(made) <= room:
            return made, len(seen.keys() - kept)
    return made, len(seen)


def build_evidence(
    record: Record,
    heat: HeatMap,
    seen: Mapping[Cell, Mapping[str, Any] | None],
    kept: Collection[Cell],
) -> dict[str, Any]:
    """Return the evidence as plain JSON values: lines by number, cells by number."""
    cells = _cells(record, heat)
    number = {name: at for at, name in enumerate(cells)}
    left_out: dict[str, list[list[str]]] = {}
    for each in record.omissions:
        mine = left_out.setdefault(each.claim, [])
        mine.append([each.subject, load_reasons()[each.reason].title, _proof_cut(each.detail)])
    return {
        "lines": [_line(line, number, left_out.get(line.claims[0].id, [])) for line in heat.lines],
        "cells": [_cell(record.cell_records[name], seen.get(name), name in kept) for name in cells],
    }


def _cells(record: Record, heat: HeatMap) -> list[Cell]:
    """Return the cells that any answer rests on, the first mentioned first."""
    named = dict.fromkeys(
        cell for line in heat.lines for part in line.verdict.parts for cell in part.cells
    )
    return [name for name in named if name in record.cell_records]


def _steps(heat: HeatMap, everything: Collection[Cell]) -> list[set[Cell]]:
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


def _line(line: HeatRow, number: Mapping[Cell, int], left_out: list[list[str]]) -> dict[str, Any]:
    verdict = line.verdict
    reason = load_reasons()[verdict.reason] if verdict.reason else None
    return {
        "promise": promise_text(line.claims[0]),
        "outcome": verdict.outcome.value,
        "word": outcome_text(verdict),
        "evidence": evidence_text(verdict.facts),
        "remarks": [remark_text(remark) for remark in verdict.remarks],
        "remedy": reason.remedy_for(verdict.cells[0].id if verdict.cells else "") if reason else "",
        "back_ends": [str(backend) for backend in verdict.backends],
        "stands": [claim_source(claim) for claim in line.claims],
        "parts": [_part(part, number) for part in verdict.parts],
        "left_out": left_out[:_LEFT_OUT],
        "more_left_out": max(len(left_out) - _LEFT_OUT, 0),
    }


def _part(part: PartVerdict, number: Mapping[Cell, int]) -> dict[str, Any]:
    python, target = part_runtime(part)
    return {
        "name": f"{part.probe}/{part.channel}",
        "python": python,
        "target": target,
        "outcome": part.outcome.value,
        "word": part.outcome.value
        + (f" ({extra.value})" if (extra := part.tightness or part.reason) else ""),
        "evidence": evidence_text(part.facts),
        "remarks": [remark_text(remark) for remark in part.remarks],
        "cells": [number[cell] for cell in part.cells if cell in number],
    }


def _cell(cell: CellRecord, seen: Mapping[str, Any] | None, kept: bool) -> dict[str, Any]:  # noqa: FBT001
    reason = load_reasons()[cell.reason].title if cell.reason else ""
    return {
        "id": cell.id,
        "command": reproduce_command(cell.id),
        "where": str(cell.where) if cell.where else "",
        "isolation": cell.where.isolation if cell.where else "",
        "started": cell.started,
        "seconds": round(cell.seconds, 1),
        "reused": cell.reused,
        "reason": reason,
        "detail": _proof_cut(cell.detail),
        "back_ends": [str(backend) for backend in cell.backends],
        "findings": [
            {
                "name": f"{each.probe}/{each.channel}",
                "shows": each.shows.value,
                "evidence": evidence_text(each.facts),
                "repeats": [f"{count} {word}" for word, count in each.repeats],
                "notes": [evidence_text([note]) for note in each.notes],
            }
            for each in cell.findings
        ],
        "seen": seen,
        "unseen": "" if seen else (_NONE_KEPT if kept else _NO_ROOM),
    }


def _proof_cut(text: str) -> str:
    return text if len(text) <= _DETAIL else f"{text[: _DETAIL - 1]}…"
