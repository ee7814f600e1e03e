"""Spans out of a recorded agent request, of whichever version of the trace API."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]

from matrix.model.capture import AgentRequest
from matrix.model.probe import Span

__all__ = ["spans_in"]


def spans_in(request: AgentRequest) -> Iterator[Span]:
    """Yield the spans that the request carries; none where it carries no traces."""
    if not request.path.endswith("/traces") or not isinstance(request.body, list):
        return
    for trace in request.body:
        for item in trace if isinstance(trace, list) else ():
            if isinstance(item, dict):
                yield _span(item)


def _span(item: Mapping[str, Any]) -> Span:
    """Return the span; a field may be missing or null, by release."""
    return Span(
        name=item.get("name") or "",
        service=item.get("service") or "",
        resource=item.get("resource") or "",
        type=item.get("type") or "",
        trace_id=item.get("trace_id") or 0,
        span_id=item.get("span_id") or 0,
        parent_id=item.get("parent_id") or 0,
        error=item.get("error") or 0,
        start=item.get("start") or 0,
        duration=item.get("duration") or 0,
        meta=item.get("meta") or {},
        metrics=item.get("metrics") or {},
        meta_struct={
            key: _unpacked(value) for key, value in (item.get("meta_struct") or {}).items()
        },
    )


def _unpacked(value: Any) -> Any:  # noqa: ANN401 - any msgpack value
    """Return what recorded bytes mean as msgpack, or the value as it is."""
    if not (isinstance(value, dict) and set(value) == {"base64"}):
        return value
    try:
        return msgpack.unpackb(base64.b64decode(value["base64"]), strict_map_key=False)
    except (ValueError, msgpack.UnpackException):
        return value
