"""Comparison of what our recording agent and Datadog's test agent read in the same request."""

from __future__ import annotations

import dataclasses
import json
import operator
from collections.abc import Iterator, Mapping
from typing import Any

from helpers.vendor_agent import Reading
from matrix.agent.observations import spans_in
from matrix.agent.payloads import TRACE_PATHS
from matrix.model.capture import AgentRequest
from matrix.model.probe import Span

_FIELDS = tuple(field.name for field in dataclasses.fields(Span))
_MAPPINGS = frozenset({"meta", "metrics", "meta_struct"})
_EMPTY: Mapping[str, Any] = {
    **dict.fromkeys(("name", "service", "resource", "type"), ""),
    **dict.fromkeys(("trace_id", "span_id", "parent_id", "error", "start", "duration"), 0),
    **{name: {} for name in _MAPPINGS},
}
"""A field that is missing or null is empty for us, and as it was sent for the test agent."""
_IDS = operator.itemgetter("trace_id", "span_id")


@dataclasses.dataclass(frozen=True)
class Difference:
    """One field of a request (`refused`, `spans`, `meta.http.url`, ...) that was read differently.

    For a failed check of the test agent, the field is its name, and we have no value for it.
    """

    field: str
    ours: object
    theirs: object


def differences(request: AgentRequest, reading: Reading) -> Iterator[Difference]:
    """Yield the differences between the request as in a capture and the test agent's reading."""
    for (check, result), count in reading.checks.items():
        if result == "Failed_Checks":
            yield Difference(check, None, count)
    undecodable = isinstance(request.body, Mapping) and "undecodable" in request.body
    if reading.refused or undecodable:
        if not (reading.refused and undecodable):
            yield Difference("refused", request.body, reading.refused)
    elif request.path in TRACE_PATHS:
        yield from _compare_traces(request, reading)
    elif (request.body,) != reading.telemetry:
        yield Difference("telemetry", request.body, reading.telemetry)


def _compare_traces(request: AgentRequest, reading: Reading) -> Iterator[Difference]:
    traces = request.body if isinstance(request.body, list) else ()
    recorded = [span for trace in traces for span in trace]
    pairs = list(zip(recorded, map(vars, spans_in(request)), strict=True))
    # The test agent joins the traces of a request by their id.
    pairs.sort(key=lambda pair: _IDS(pair[1]))
    theirs = sorted(reading.spans, key=_IDS)
    if [_IDS(ours) for _, ours in pairs] != [_IDS(span) for span in theirs]:
        yield Difference("spans", [_IDS(ours) for _, ours in pairs], [_IDS(s) for s in theirs])
        return
    for (record, ours), span in zip(pairs, theirs, strict=True):
        yield from _compare_spans(record, ours, span)


def _compare_spans(
    record: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> Iterator[Difference]:
    """Compare the fields that a judge reads as it reads them, all others as they are recorded."""
    for name in _FIELDS:
        other = theirs.get(name)
        other = _EMPTY[name] if other is None else other
        if name not in _MAPPINGS:
            yield from _compare(name, ours[name], other)
            continue
        for key in sorted({*ours[name], *other}):
            yield from _compare(f"{name}.{key}", ours[name].get(key), other.get(key))
    for name in sorted({*record, *theirs} - set(_FIELDS)):
        yield from _compare(name, record.get(name), theirs.get(name))


def _compare(field: str, ours: object, theirs: object) -> Iterator[Difference]:
    # As text, in which 1, 1.0 and true differ, and two NaN do not.
    if json.dumps(ours, sort_keys=True) != json.dumps(theirs, sort_keys=True):
        yield Difference(field, ours, theirs)
