"""Spans by trace, and the web root span of an exchange by the exchange's unique segment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote, urlsplit

from matrix.model.capture import AgentRequest, Exchange
from matrix.model.probe import Span
from matrix.observing.decoding import spans_in

__all__ = ["SHOP", "Traces"]

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
