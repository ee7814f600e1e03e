"""Evidence of the HTML page: parts, cells, and the exchanges of their captures, bounded.

Captures contain output of releases that nobody should trust. All of it is bounded: the text of each
field, the fields of each exchange, and the exchanges of each finding.
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
from matrix.reporting.breakage import breakage_of
from matrix.reporting.html_charts import HeatMap, HeatRow, pool_values
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
# The number of the first prefixes of tags that hold the tracer's judgement of the request.
_JUDGING_TAGS = 5
# Headers and tags that are shown, in this order, by prefix.
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
    """Return a capture as bounded JSON values; text that was cut ends with an ellipsis.

    `asked` has, by `probe/channel`, the first exchanges of the first process that made any, and
    the first one of the control with the feature off.
    """
    probing = [process for process in capture.processes if process.purpose == "probe"]
    identity = capture.identity
    return {
        "detail": _cut(capture.detail, _LONG),
        "installed": [
            f"{_cut(name, _SHORT)} {_cut(version, _SHORT)}"
            for name, version in sorted(identity.installed.items())[:_INSTALLED]
        ]
        if identity
        else [],
        "asked": _exchanges(probing),
        "processes": [_process(process) for process in capture.processes[:_PROCESSES]],
    }


def _exchanges(processes: Sequence[ProcessCapture]) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    controls: dict[str, dict[str, Any]] = {}
    for process in processes:
        channels = {
            f"{each.probe}/{each.channel}": each.control for each in process.exchanges if each.probe
        }
        if all(name in (controls if off else found) for name, off in channels.items()):
            continue  # a repeat of exchanges that are shown already
        fresh: dict[str, list[dict[str, Any]]] = {}
        for observation in observations_of(process):
            of = observation.exchange
            name = f"{of.probe}/{of.channel}"
            if not of.probe:
                continue
            if of.control and name not in controls:
                controls[name] = _exchange(observation, process)
            elif not of.control and name not in found:
                made = fresh.setdefault(name, [])
                if len(made) < _EXCHANGES - 1:
                    made.append(_exchange(observation, process))
        found.update(fresh)
    for name, control in controls.items():
        found.setdefault(name, []).append(control)
    return found


def _exchange(observation: Observation, process: ProcessCapture) -> dict[str, Any]:
    of = observation.exchange
    made = {
        "setting": _cut(process.setting, _SHORT),
        "control": of.control,
        "stimulus": _cut(of.stimulus, _SHORT),
        "sent": _cut(f"{of.method} {of.path}", _LONG),
        "headers": _headers(of.request_headers),
        "body": _cut(of.request_body, _BODY),
        "came": _response_line(of),
        "answer_headers": _headers(of.headers),
        "answer": _cut(of.body, _BODY),
        "then": _follow_up_line(of),
        "spans": [_span(span) for span in _main_spans(observation)],
        "more_spans": max(len(observation.spans) + len(observation.elsewhere) - _SPANS, 0),
    }
    return {name: _shorten_shop(value, of.shop) for name, value in made.items()}


def _shorten_shop(value: Any, shop: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value with a short name for the random path segment of its request."""
    if isinstance(value, str):
        return value.replace(shop, "s…") if shop else value
    if isinstance(value, list):
        return [_shorten_shop(each, shop) for each in value]
    if isinstance(value, dict):
        return {name: _shorten_shop(each, shop) for name, each in value.items()}
    return value


def _response_line(of: Exchange) -> str:
    if of.status is not None:
        return f"HTTP {of.status}"
    return _cut(f"no answer: {of.error or 'unknown'}", _LONG)


def _follow_up_line(of: Exchange) -> str:
    if of.follow_up is None:
        return ""
    status = "no answer" if of.follow_up.status is None else f"HTTP {of.follow_up.status}"
    return _cut(f"GET {of.follow_up.path}: {status}, {of.follow_up.body}", _BODY)


def _main_spans(observation: Observation) -> Sequence[Span]:
    """Return the root span, then those with the most tags of the tracer's judgement."""
    rest = [
        span
        for span in (*observation.spans, *observation.elsewhere)
        if span is not observation.root
    ]
    rest.sort(key=lambda span: -sum(_rank(name) < _JUDGING_TAGS for name in span.meta))
    first = [observation.root] if observation.root else []
    return [*first, *rest][:_SPANS]


def _span(span: Span) -> dict[str, Any]:
    # Readers take metrics and structured values of a span for tags, too.
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
        (at for at, prefix in enumerate(_TAGS_FIRST) if name.startswith(prefix)), len(_TAGS_FIRST)
    )


def _headers(headers: Mapping[str, str]) -> list[str]:
    notable = [
        (name, value)
        for prefix in _HEADERS_FIRST
        for name, value in headers.items()
        if name.lower().startswith(prefix)
    ]
    return [f"{_cut(name, _SHORT)}: {_cut(value, _SHORT)}" for name, value in notable[:_HEADERS]]


def _process(process: ProcessCapture) -> dict[str, Any]:
    failed = process.failed is not None or bool(process.exit_code)
    heard = Counter(f"{request.method} {request.path}" for request in process.agent)
    return {
        "setting": _cut(process.setting, _SHORT),
        "purpose": process.purpose,
        "repeat": process.repeat,
        "failed": process.failed.value if process.failed else "",
        "detail": _cut(process.detail, _BODY),
        "exit_code": process.exit_code,
        "heard": [
            f"{_cut(request, _SHORT)} ({count})" for request, count in heard.most_common(_HEADERS)
        ],
        "pushes": [
            f"remote configuration {push.version}{' taken back' if push.undo else ''}:"
            f" {'acknowledged' if push.acknowledged else 'not acknowledged'}"
            for push in process.pushes[:_EXCHANGES]
        ],
        "log": _tail(process.log, _LONG) if failed else "",
    }


def _cut(value: object, most: int) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _tail(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else f"…{text[1 - most :]}"


Digests = Callable[[CellRecord], "Mapping[str, Any] | None"]
"""Returns the digest of a cell's capture, None without a capture."""

_DETAIL = 600
_MAX_OMISSIONS = 40
_NO_CAPTURE = "No capture of this cell is kept here, so this is all there is to show."
_NO_ROOM = "What was sent and came back did not fit on this page; it lies in the capture."


def reproduce_command(cell: str) -> str:
    """Return the command that repeats a cell."""
    return f"python -m matrix reproduce {cell}"


def claim_source(claim: Claim) -> dict[str, Any]:
    """Return the place of a claim in its document."""
    return {
        "document": claim.document,
        "heading": claim.heading,
        "line": claim.line,
        "written": claim.as_written,
    }


def pack_evidence(record: Record, heat: HeatMap, digests: Digests, room: int) -> tuple[str, int]:
    """Return the evidence as base64 of deflated JSON, of at most `room` bytes where possible.

    Captures that do not fit are omitted in steps: those of cells other than the first of a part, of
    confirmed claims, of claims that are not refuted, all. The number is that of cells without
    their captures.
    """
    all_digests = {cell: digests(record.cell_records[cell]) for cell in _cells(record, heat)}
    packed = ""
    for cells in _steps(heat, all_digests.keys()):
        included = {cell: digest for cell, digest in all_digests.items() if cell in cells}
        evidence = build_evidence(record, heat, included, cells)
        text = json.dumps(pool_values(evidence), ensure_ascii=False, separators=(",", ":"))
        packed = base64.b64encode(zlib.compress(text.encode("utf-8", "replace"), 9)).decode("ascii")
        if len(packed) <= room:
            return packed, len(all_digests.keys() - cells)
    return packed, len(all_digests)


def build_evidence(
    record: Record,
    heat: HeatMap,
    digests: Mapping[Cell, Mapping[str, Any] | None],
    included: Collection[Cell],
) -> dict[str, Any]:
    """Return the evidence as plain JSON values, in which rows and cells are numbered.

    `digests` are those of the `included` cells.
    """
    cells = _cells(record, heat)
    number = {cell: index for index, cell in enumerate(cells)}
    omissions: dict[str, list[list[str]]] = {}
    for each in record.omissions:
        omission = [each.subject, load_reasons()[each.reason].title, _cut(each.detail, _DETAIL)]
        omissions.setdefault(each.claim, []).append(omission)
    return {
        "lines": [_line(line, number, omissions.get(line.claims[0].id, [])) for line in heat.lines],
        "cells": [
            _cell(record.cell_records[cell], digests.get(cell), included=cell in included)
            for cell in cells
        ],
    }


def _cells(record: Record, heat: HeatMap) -> list[Cell]:
    """Return the recorded cells that verdicts rest on, in the order of the parts."""
    cells = dict.fromkeys(
        cell for line in heat.lines for part in line.verdict.parts for cell in part.cells
    )
    return [cell for cell in cells if cell in record.cell_records]


def _steps(heat: HeatMap, all_cells: Collection[Cell]) -> list[set[Cell]]:
    """Return smaller and smaller sets of cells whose captures are included, from all to none."""
    parts = [(line.verdict.outcome, part) for line in heat.lines for part in line.verdict.parts]
    return [
        set(all_cells),
        {
            cell
            for outcome, part in parts
            for cell in (part.cells if outcome is Outcome.REFUTED else part.cells[:1])
        },
        {part.cells[0] for _, part in parts},
        {part.cells[0] for outcome, part in parts if outcome is not Outcome.CONFIRMED},
        {part.cells[0] for outcome, part in parts if outcome is Outcome.REFUTED},
        set(),
    ]


def _line(line: HeatRow, number: Mapping[Cell, int], omissions: list[list[str]]) -> dict[str, Any]:
    verdict = line.verdict
    reason = load_reasons()[verdict.reason] if verdict.reason else None
    broken = breakage_of(verdict)
    cell = broken.cell if broken else verdict.cells[0].id if verdict.cells else ""
    return {
        "promise": promise_text(line.claims[0]),
        "outcome": verdict.outcome.value,
        "word": outcome_text(verdict),
        "evidence": evidence_text(verdict.facts),
        "remarks": [remark_text(remark) for remark in verdict.remarks],
        "remedy": reason.remedy_for(cell) if reason else "",
        "back_ends": [str(backend) for backend in verdict.backends],
        "stands": [claim_source(claim) for claim in line.claims],
        "parts": [_part(part, number) for part in verdict.parts],
        "left_out": omissions[:_MAX_OMISSIONS],
        "more_left_out": max(len(omissions) - _MAX_OMISSIONS, 0),
    }


def _part(part: PartVerdict, number: Mapping[Cell, int]) -> dict[str, Any]:
    return {
        "name": f"{part.probe}/{part.channel}",
        "python": part.cells[0].python,
        "target": part.cells[0].target,
        "outcome": part.outcome.value,
        "word": outcome_text(part),
        "evidence": evidence_text(part.facts),
        "remarks": [remark_text(remark) for remark in part.remarks],
        "cells": [number[cell] for cell in part.cells if cell in number],
    }


def _cell(cell: CellRecord, digest: Mapping[str, Any] | None, *, included: bool) -> dict[str, Any]:
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
        "detail": _cut(cell.detail, _DETAIL),
        "back_ends": [str(backend) for backend in cell.backends],
        "findings": [
            {
                "name": f"{finding.probe}/{finding.channel}",
                "shows": finding.shows.value,
                "evidence": evidence_text(finding.facts),
                "repeats": [f"{count} {shows}" for shows, count in finding.repeats],
                "notes": [evidence_text([note]) for note in finding.notes],
            }
            for finding in cell.findings
        ],
        "seen": digest,
        "unseen": "" if digest else (_NO_CAPTURE if included else _NO_ROOM),
    }
