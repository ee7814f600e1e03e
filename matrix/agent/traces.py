"""Spans of recorded requests by trace, and the web root span of an exchange.

An exchange is recognized by the unique segment of its path. The requests may come from a live
agent or from a capture on disk.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from matrix.agent.payloads import TRACE_PATHS, to_json, unpack
from matrix.model.capture import AgentRequest, Exchange
from matrix.model.probe import Span

SHOP_SEGMENT = re.compile(r"\bs[0-9a-f]{15}\b")
"""The unique first segment of the path of every probe request."""


def spans_in(request: AgentRequest) -> Iterator[Span]:
    """Yield the spans in the request, none where it is not a request with traces."""
    if request.path not in TRACE_PATHS or not isinstance(request.body, list):
        return
    for trace in request.body:
        for span in trace:
            yield _parse_span(span)


def _parse_span(span: Mapping[str, Any]) -> Span:
    return Span(
        name=_as_text(span.get("name")),
        service=_as_text(span.get("service")),
        resource=_as_text(span.get("resource")),
        type=_as_text(span.get("type")),
        trace_id=_as_integer(span.get("trace_id")),
        span_id=_as_integer(span.get("span_id")),
        parent_id=_as_integer(span.get("parent_id")),
        error=_as_integer(span.get("error")),
        start=_as_integer(span.get("start")),
        duration=_as_integer(span.get("duration")),
        meta={key: _as_text(value) for key, value in _as_mapping(span.get("meta")).items()},
        metrics={
            key: value
            for key, value in _as_mapping(span.get("metrics")).items()
            if isinstance(value, int | float)
        },
        meta_struct={
            key: _decode_msgpack(value)
            for key, value in _as_mapping(span.get("meta_struct")).items()
        },
    )


def _as_text(value: Any) -> str:  # noqa: ANN401
    """Return a string as it is, bytes as UTF-8, nothing as "", and any other value as JSON.

    On 2.7, some tracers send the strings of an app as bytes.
    """
    if isinstance(value, str):
        return value
    if _is_bytes(value):
        return base64.b64decode(value["base64"]).decode("utf-8", "backslashreplace")
    return "" if value is None else json.dumps(value, sort_keys=True, default=str)


def _as_integer(value: Any) -> int:  # noqa: ANN401
    return value if isinstance(value, int) else 0


def _as_mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401
    return value if isinstance(value, Mapping) else {}


def _is_bytes(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, Mapping) and set(value) == {"base64"}


def _decode_msgpack(value: Any) -> Any:  # noqa: ANN401
    """Return the content of a `meta_struct` value in msgpack, or the value unchanged."""
    if not _is_bytes(value):
        return value
    try:
        return to_json(unpack(base64.b64decode(value["base64"])))
    except ValueError:
        return value


class Traces:
    """All spans of some agent requests; `update` adds more."""

    def __init__(self, requests: Sequence[AgentRequest] = ()) -> None:
        """Start with `requests`."""
        self._request_count = 0
        self._by_trace: dict[int, dict[int, Span]] = {}
        self._by_shop: dict[str, list[Span]] = {}
        self.update(requests)

    def update(self, requests: Sequence[AgentRequest]) -> None:
        """Add the new ones of `requests`, a list that only grows at its end."""
        for request in requests[self._request_count :]:
            for span in spans_in(request):
                self._add(span)
        self._request_count = max(self._request_count, len(requests))

    def root_of(self, exchange: Exchange) -> Span | None:
        """Return the web root span of the exchange, None where no span of it arrived (yet)."""
        # The client span of an outgoing call and the span of a follow-up request contain the
        # segment too, but have another path or method.
        spans = (span for span in self._by_shop.get(exchange.shop, ()) if _is_of(span, exchange))
        roots = {id(root): root for root in map(self._top, spans)}.values()
        return min(roots, key=lambda root: (root.type != "web", root.start), default=None)

    def trace_of(self, root: Span | None) -> tuple[Span, ...]:
        """Return the root and all spans below it, the root first."""
        if root is None:
            return ()
        spans = self._by_trace[root.trace_id].values()
        return (root, *(s for s in spans if s is not root and self._top(s) is root))

    def elsewhere(self, exchange: Exchange, root: Span | None) -> tuple[Span, ...]:
        """Return the spans of other traces whose resource contains the exchange's segment."""
        return tuple(
            span
            for span in self._by_shop.get(exchange.shop, ())
            if (root is None or span.trace_id != root.trace_id) and exchange.shop in span.resource
        )

    def _add(self, span: Span) -> None:
        self._by_trace.setdefault(span.trace_id, {})[span.span_id] = span
        for shop in set(_shop_segments(span)):
            self._by_shop.setdefault(shop, []).append(span)

    def _top(self, span: Span) -> Span:
        trace = self._by_trace[span.trace_id]
        visited = {span.span_id}
        while span.parent_id in trace and span.parent_id not in visited:
            span = trace[span.parent_id]
            visited.add(span.span_id)
        return span


def _shop_segments(span: Span) -> Iterable[str]:
    for text in (span.resource, span.meta.get("http.url", ""), span.meta.get("http.route", "")):
        yield from SHOP_SEGMENT.findall(text)


def _is_of(span: Span, exchange: Exchange) -> bool:
    method = span.meta.get("http.method")
    if method is not None and method != exchange.method:
        return False
    url = span.meta.get("http.url")
    if url is None:
        return True
    # http.url has no query string before 1.6.
    return unquote(urlsplit(url).path) == unquote(urlsplit(exchange.path).path)
