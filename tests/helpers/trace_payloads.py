"""Payloads with traces, as tracers encode them."""

from __future__ import annotations

from typing import Any

MSGPACK = {"content-type": "application/msgpack"}
SPAN: dict[str, Any] = {
    "service": "bookshop",
    "name": "flask.request",
    "resource": "GET /<shop>/",
    "trace_id": 2**64 - 1,
    "span_id": 2**63,
    "parent_id": 0,
    "start": 1_700_000_000_000_000_000,
    "duration": 12_345,
    "error": 0,
    "meta": {"http.url": "http://127.0.0.1/s1/"},
    "metrics": {"_dd.appsec.enabled": 1.0},
    "type": "web",
}


def as_v05(traces: list[list[dict[str, Any]]]) -> list[Any]:
    """Encode as in v0.5, with strings by their index and a span as twelve values."""
    strings = [""]

    def index(text: str) -> int:
        if text not in strings:
            strings.append(text)
        return strings.index(text)

    def values(span: dict[str, Any]) -> list[Any]:
        return [
            index(span["service"]),
            index(span["name"]),
            index(span["resource"]),
            *(span[field] for field in ("trace_id", "span_id", "parent_id", "start", "duration")),
            span["error"],
            {index(key): index(value) for key, value in span["meta"].items()},
            {index(key): value for key, value in span["metrics"].items()},
            index(span["type"]),
        ]

    spans = [[values(span) for span in trace] for trace in traces]
    return [strings, spans]
