"""Spans by trace, and the web root span of an exchange by the exchange's unique segment.

Spans out of a recorded request. Pure; also serves captures that are read from disk.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from matrix.agent.payloads import TRACE_PATHS, plain, unpack
from matrix.model.capture import AgentRequest, Exchange
from matrix.model.probe import Span

__all__ = ["SHOP", "Traces", "spans_in"]


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


SHOP = re.compile(r"\bs[0-9a-f]{15}\b")
"""The unique first segment of every path that a probe asks for."""


class Traces:
    """All spans that some agent requests carried; grows with `update`."""

    def __init__(self, requests: Sequence[AgentRequest] = ()) -> None:
        """Start with `requests`."""
        self._seen = 0
        self._by_trace: dict[int, dict[int, Span]] = {}
        self._by_shop: dict[str, list[Span]] = {}
        self.update(requests)

    def update(self, requests: Sequence[AgentRequest]) -> None:
        """Take in what is new in `requests`, a list that only ever grows at its end."""
        for request in requests[self._seen :]:
            for span in spans_in(request):
                self._add(span)
        self._seen = max(self._seen, len(requests))

    def root_of(self, exchange: Exchange) -> Span | None:
        """Return the web root span of the exchange, None where no span tells of it (yet)."""
        # A client span of an outgoing call may name the shop too, and so may a second look: its
        # path or its method is another.
        told = [span for span in self._by_shop.get(exchange.shop, ()) if _tells_of(span, exchange)]
        roots = {id(root): root for root in map(self._top, told)}.values()
        return min(roots, key=lambda root: (root.type != "web", root.start), default=None)

    def trace_of(self, root: Span | None) -> tuple[Span, ...]:
        """Return all spans of the root's trace that are below it, the root first."""
        if root is None:
            return ()
        spans = self._by_trace[root.trace_id].values()
        return (root, *(s for s in spans if s is not root and self._top(s) is root))

    def elsewhere(self, exchange: Exchange, root: Span | None) -> tuple[Span, ...]:
        """Return the spans of other traces than the root's whose resource names the exchange."""
        return tuple(
            span
            for span in self._by_shop.get(exchange.shop, ())
            if (root is None or span.trace_id != root.trace_id) and exchange.shop in span.resource
        )

    def _add(self, span: Span) -> None:
        self._by_trace.setdefault(span.trace_id, {})[span.span_id] = span
        for shop in set(_shops(span)):
            self._by_shop.setdefault(shop, []).append(span)

    def _top(self, span: Span) -> Span:
        trace = self._by_trace[span.trace_id]
        known = {span.span_id}
        while span.parent_id in trace and span.parent_id not in known:
            span = trace[span.parent_id]
            known.add(span.span_id)
        return span


def _shops(span: Span) -> Iterable[str]:
    for text in (span.resource, span.meta.get("http.url", ""), span.meta.get("http.route", "")):
        yield from SHOP.findall(text)


def _tells_of(span: Span, exchange: Exchange) -> bool:
    method = span.meta.get("http.method")
    if method is not None and method != exchange.method:
        return False
    url = span.meta.get("http.url")
    if url is None:
        return True
    # http.url has no query string before 1.6.
    return unquote(urlsplit(url).path) == unquote(urlsplit(exchange.path).path)
