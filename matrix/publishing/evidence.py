"""A capture cut down to what a reader of a page wants to see of it: sent, returned, traced. Pure.

Everything here was said by releases that nobody should trust, and all of it is bounded: the text of
each field, the fields of each exchange, the exchanges of each finding.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from matrix.model.capture import CellCapture, Exchange, ProcessCapture
from matrix.model.probe import Sighting, Span
from matrix.observing.sightings import sightings

__all__ = ["digest"]

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


def digest(capture: CellCapture) -> dict[str, Any]:
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
        for sighting in sightings(process):
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


def _exchange(sighting: Sighting, process: ProcessCapture) -> dict[str, Any]:
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


def _telling(sighting: Sighting) -> Sequence[Span]:
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
