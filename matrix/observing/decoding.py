"""Spans out of a recorded request. Pure; also serves captures that are read from disk."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from matrix.agent.payloads import TRACE_PATHS, plain, unpack
from matrix.model.capture import AgentRequest
from matrix.model.probe import Span

__all__ = ["spans_in"]


def spans_in(request: AgentRequest) -> Iterator[Span]:
    """Yield the spans that the request carries, none where it carries no traces."""
    if request.path not in TRACE_PATHS or not isinstance(request.body, list):
        return
    for trace in request.body:
        for span in trace:
            yield _span(span)


def _span(span: Mapping[str, Any]) -> Span:
    return Span(
        name=span.get("name") or "",
        service=span.get("service") or "",
        resource=span.get("resource") or "",
        type=span.get("type") or "",
        trace_id=span.get("trace_id") or 0,
        span_id=span.get("span_id") or 0,
        parent_id=span.get("parent_id") or 0,
        error=span.get("error") or 0,
        start=span.get("start") or 0,
        duration=span.get("duration") or 0,
        meta=_mapping(span.get("meta")),
        metrics=_mapping(span.get("metrics")),
        meta_struct={
            key: _from_msgpack(value) for key, value in _mapping(span.get("meta_struct")).items()
        },
    )


def _mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    return value if isinstance(value, Mapping) else {}


def _from_msgpack(value: Any) -> Any:  # noqa: ANN401
    """Return what the msgpack bytes of a `meta_struct` value mean, or the value as it is."""
    if not (isinstance(value, Mapping) and set(value) == {"base64"}):
        return value
    try:
        return plain(unpack(base64.b64decode(value["base64"])))
    except ValueError:
        return value
