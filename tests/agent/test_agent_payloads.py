"""Payloads of tracers of all releases become the same JSON values; nothing raises."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from helpers.trace_payloads import MSGPACK, SPAN, as_v05
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.agent.observations import spans_in
from matrix.agent.payloads import decode
from matrix.model.capture import AgentRequest


def request(path: str, body: object) -> AgentRequest:
    return AgentRequest(0.0, "PUT", path, MSGPACK, body)


@pytest.mark.parametrize("path", ["/v0.3/traces", "/v0.4/traces"])
def test_traces_of_v03_and_v04_are_unchanged(path: str) -> None:
    assert decode(path, MSGPACK, msgpack.packb([[SPAN], [SPAN, SPAN]])) == [[SPAN], [SPAN, SPAN]]


def test_traces_of_v05_get_their_strings_back() -> None:
    packed = msgpack.packb(as_v05([[SPAN]]))
    assert decode("/v0.5/traces", MSGPACK, packed) == [[SPAN]]


def test_traces_of_v03_may_be_json() -> None:
    headers = {"content-type": "application/json"}
    assert decode("/v0.3/traces", headers, json.dumps([[SPAN]]).encode()) == [[SPAN]]


def test_old_clients_send_text_as_raw_bytes_of_the_old_msgpack() -> None:
    packed = msgpack.packb([[SPAN]], use_bin_type=False)
    assert decode("/v0.4/traces", MSGPACK, packed) == [[SPAN]]


def test_gzip_is_decompressed() -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert decode("/telemetry/proxy/x", headers, gzip.compress(b'{"a": 1}')) == {"a": 1}


def test_meta_struct_is_recorded_as_bytes_and_read_decoded() -> None:
    struct = {"triggers": [{"rule": {"id": "ua0-600-55x"}}]}
    span = {**SPAN, "meta_struct": {"appsec": msgpack.packb(struct), "odd": b"\xc1"}}
    body = decode("/v0.4/traces", MSGPACK, msgpack.packb([[span]]))
    encoded = body[0][0]["meta_struct"]["appsec"]
    assert base64.b64decode(encoded["base64"]) == msgpack.packb(struct)
    (read,) = spans_in(request("/v0.4/traces", body))
    assert read.meta_struct == {"appsec": struct, "odd": {"base64": "wQ=="}}
    assert (read.name, read.trace_id, read.meta) == ("flask.request", 2**64 - 1, SPAN["meta"])


def test_missing_fields_of_a_span_are_empty() -> None:
    (read,) = spans_in(request("/v0.4/traces", [[{"name": "x", "type": None, "meta": None}]]))
    assert (read.type, read.parent_id, read.error, read.meta, read.metrics) == ("", 0, 0, {}, {})


def test_fields_that_should_be_mappings_and_are_not_are_empty() -> None:
    span = {"name": "x", "meta": [1], "metrics": "y", "meta_struct": 3}
    (read,) = spans_in(request("/v0.4/traces", [[span]]))
    assert (read.meta, read.metrics, read.meta_struct) == ({}, {}, {})


def test_other_requests_have_no_spans() -> None:
    undecodable = request("/v0.4/traces", {"undecodable": "x", "base64": ""})
    assert not list(spans_in(undecodable))
    assert not list(spans_in(request("/telemetry/proxy/api/v2/apmtelemetry", [[SPAN]])))


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/v0.4/traces", MSGPACK, b"\xc1"),
        ("/v0.4/traces", MSGPACK, msgpack.packb([[SPAN]])[:-3]),
        ("/v0.4/traces", MSGPACK, msgpack.packb([[SPAN]]) + b"\x00"),
        ("/v0.4/traces", MSGPACK, msgpack.packb({"a": 1})),
        ("/v0.4/traces", MSGPACK, msgpack.packb([[1]])),
        ("/v0.4/traces", MSGPACK, b"\x91" * 600 + b"\xc0"),
        ("/v0.4/traces", MSGPACK, b"\x91" * 5000 + b"\xc0"),
        ("/v0.5/traces", MSGPACK, msgpack.packb([["a"], [[[7] * 12]]])),
        ("/v0.5/traces", MSGPACK, msgpack.packb([["a"], [[[0] * 11]]])),
        ("/v0.5/traces", MSGPACK, msgpack.packb([[["a"]], [[[0] * 9 + [{}, {}, 0]]]])),
        ("/telemetry/proxy/x", {}, b"not json"),
        ("/telemetry/proxy/x", {}, b"[" * 100_000),
        ("/telemetry/proxy/x", {"content-encoding": "gzip"}, b"not gzip"),
        (
            "/telemetry/proxy/x",
            {"content-encoding": "gzip"},
            gzip.compress(b"{}" * 99, mtime=0)[:-9],
        ),
        ("/telemetry/proxy/x", {"content-encoding": "br"}, b"{}"),
    ],
)
def test_an_undecodable_body_is_recorded_with_the_reason(
    path: str, headers: dict[str, str], body: bytes
) -> None:
    value = decode(path, headers, body)
    assert value["undecodable"]
    assert base64.b64decode(value["base64"]) == body


def test_a_gzip_bomb_is_not_unpacked() -> None:
    headers = {"content-encoding": "gzip"}
    assert decode("/x", headers, gzip.compress(b" " * 900 + b"{}"), max_bytes=1000) == {}
    value = decode("/x", headers, gzip.compress(b" " * 2000), max_bytes=1000)
    assert "larger than 1000 bytes" in value["undecodable"]


TEXT = st.text(max_size=8)
SPANS = st.fixed_dictionaries(
    {
        "service": TEXT,
        "name": TEXT,
        "resource": TEXT,
        "trace_id": st.integers(0, 2**64 - 1),
        "span_id": st.integers(0, 2**64 - 1),
        "parent_id": st.integers(0, 2**64 - 1),
        "start": st.integers(0, 2**63 - 1),
        "duration": st.integers(0, 2**63 - 1),
        "error": st.integers(0, 1),
        "meta": st.dictionaries(TEXT, TEXT, max_size=3),
        "metrics": st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False)),
        "type": TEXT,
    }
)


@settings(max_examples=40)
@given(st.lists(st.lists(SPANS, max_size=3), max_size=3))
def test_every_version_of_the_format_decodes_to_the_same(
    traces: list[list[dict[str, Any]]],
) -> None:
    v04 = decode("/v0.4/traces", MSGPACK, msgpack.packb(traces))
    v05 = decode("/v0.5/traces", MSGPACK, msgpack.packb(as_v05(traces)))
    assert v04 == v05 == traces
    assert json.loads(json.dumps(v04)) == v04


@given(
    st.sampled_from(["/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/telemetry/proxy/", "/x"]),
    st.sampled_from(["", "application/msgpack", "application/json", "multipart/form-data"]),
    st.sampled_from(["", "gzip", "deflate"]),
    st.binary(max_size=200),
)
def test_no_bytes_make_it_raise(path: str, kind: str, encoding: str, body: bytes) -> None:
    value = decode(path, {"content-type": kind, "content-encoding": encoding}, body)
    recorded = request(path, value)
    assert json.loads(json.dumps(value)) == value
    assert all(span.meta_struct is not None for span in spans_in(recorded))


KEYS = st.integers(-(2**63), 2**64 - 1) | TEXT | st.binary(max_size=4)
MSGPACK_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | KEYS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(KEYS, children, max_size=4),
    max_leaves=20,
)


@given(MSGPACK_VALUES)
def test_any_msgpack_in_place_of_traces_is_recorded(value: object) -> None:
    for path in ("/v0.4/traces", "/v0.5/traces", "/v0.6/stats"):
        body = decode(path, MSGPACK, msgpack.packb(value))
        json.dumps(body, allow_nan=False)
        list(spans_in(request(path, body)))
