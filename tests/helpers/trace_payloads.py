"""Payloads with traces, as tracers encode them, and strategies that generate traces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
from hypothesis import strategies as st

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


TEXT = st.text(max_size=8)
IDS = st.integers(1, 2**64 - 1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**64 - 1)
STRUCTURES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(TEXT, values, max_size=3),
    max_leaves=8,
)
REQUIRED: Mapping[str, st.SearchStrategy[Any]] = {
    "name": TEXT,
    "service": TEXT,
    "resource": TEXT,
    "type": TEXT,
    "trace_id": IDS,
    "span_id": IDS,
    "parent_id": IDS,
    "start": st.integers(0, 2**63 - 1),
    "duration": st.integers(0, 2**63 - 1),
    "error": st.integers(0, 1),
    "meta": st.dictionaries(TEXT, TEXT, max_size=3),
    "metrics": st.dictionaries(TEXT, NUMBERS, max_size=3),
}
LINKS = st.fixed_dictionaries(
    {"trace_id": IDS, "span_id": IDS},
    optional={"attributes": st.dictionaries(TEXT, TEXT, max_size=2), "tracestate": TEXT},
)
EVENTS = st.fixed_dictionaries({"name": TEXT, "time_unix_nano": IDS})
PLAIN_SPANS = st.fixed_dictionaries(dict(REQUIRED))
# Without what a tracer may leave out or send as null, and with what only v0.4 has.
SPANS = st.fixed_dictionaries(
    {name: REQUIRED[name] for name in ("name", "trace_id", "span_id")},
    optional={
        **{name: st.none() | REQUIRED[name] for name in ("service", "resource", "type")},
        **{name: REQUIRED[name] for name in ("start", "duration", "error", "meta", "metrics")},
        "parent_id": st.none() | IDS,
        "meta_struct": st.dictionaries(
            TEXT, st.dictionaries(TEXT, STRUCTURES, max_size=3).map(msgpack.packb), max_size=2
        ),
        "span_links": st.lists(LINKS, max_size=2),
        "span_events": st.lists(EVENTS, max_size=2),
    },
)


def traces_of(spans: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Any]]:
    """Return traces without cycles, in which the test agent (1.69.1) loops until memory is full."""
    return st.lists(st.lists(spans.map(_below_itself), max_size=3), max_size=3)


def _below_itself(span: dict[str, Any]) -> dict[str, Any]:
    parent = span.get("parent_id")
    return {**span, "parent_id": parent % span["span_id"]} if parent else span
