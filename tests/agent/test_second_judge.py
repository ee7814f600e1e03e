"""Two judges: Datadog's test agent and our recording agent read the same spans in the same bytes.

What the two read differently has its reason in `EXPLAINED`, a failed check in `counted_early`.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from helpers.real_cells import run_real_cell
from helpers.second_judge import Difference, differences
from helpers.trace_payloads import (
    MSGPACK,
    PLAIN_SPANS,
    SPAN,
    SPANS,
    STRUCTURES,
    TEXT,
    as_v05,
    traces_of,
)
from helpers.vendor_agent import (
    TELEMETRY_PATH,
    Reading,
    VendorAgent,
    prepare_recording_worker,
    raw_body,
    vendor_agent,
)
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from matrix.agent.observations import spans_in
from matrix.agent.payloads import TRACE_PATHS, decode
from matrix.interpreters.discovery import find_interpreters
from matrix.model.capture import AgentRequest, CellCapture
from matrix.model.cell import Cell
from matrix.probes.registry import load_probes

V03, V04, V05 = TRACE_PATHS
JSON = {"content-type": "application/json"}
UNREAD = {
    "/info": "a request without a body",
    "/v0.7/config": "a poll, which the test agent answers without reading it",
}
"""Paths of tracers that the test agent does not decode, and why."""


@dataclasses.dataclass(frozen=True)
class Explained:
    """A kind of payload that the two read differently: what we read in an example, and why.

    `field` is where they differ; `read` are fields of the span that we read, empty for no span.
    """

    name: str
    reason: str
    body: bytes
    field: str = "refused"
    read: Mapping[str, object] = dataclasses.field(default_factory=dict)
    path: str = V04
    headers: Mapping[str, str] = dataclasses.field(default_factory=lambda: MSGPACK)


def packed(**fields: object) -> bytes:
    body: bytes = msgpack.packb([[{**SPAN, **fields}]])
    return body


LENIENT = (
    "one odd value must not cost us the evidence in all other spans; the test agent refuses all"
)
NO_JSON = "JSON has no such number: a capture has its name, which is the value of no evidence"
EXPLAINED = (
    Explained(
        "text that is not UTF-8",
        LENIENT,
        msgpack.packb([[{**SPAN, "name": b"caf\xe9"}]], use_bin_type=False),
        read={"name": "caf\\xe9"},
    ),
    Explained("bytes for text", LENIENT, packed(name=b"x"), read={"name": "x"}),
    Explained(
        "bytes in the strings of v0.5",
        LENIENT,
        msgpack.packb([[text.encode() for text in as_v05([[SPAN]])[0]], as_v05([[SPAN]])[1]]),
        read={"name": SPAN["name"]},
        path=V05,
    ),
    Explained("a tag that is a number", LENIENT, packed(meta={"a": 1}), read={"meta": {"a": "1"}}),
    Explained("a number as a key", LENIENT, packed(meta={1: "a"}), read={"meta": {"1": "a"}}),
    Explained("null for a mapping", LENIENT, packed(meta=None), read={"meta": {}}),
    Explained("a metric that is text", LENIENT, packed(metrics={"a": "1"}), read={"metrics": {}}),
    Explained("no error flag", LENIENT, packed(error=None), read={"error": 0}),
    Explained("no id", LENIENT, packed(span_id=None), read={"span_id": 0}),
    Explained(
        "attributes of links that are not text",
        LENIENT,
        packed(span_links=[{"trace_id": 1, "span_id": 2, "attributes": {"a": 1}}]),
        read={"name": SPAN["name"]},
    ),
    Explained(
        "structured data that is no mapping",
        LENIENT,
        packed(meta_struct={"a": msgpack.packb([1])}),
        read={"meta_struct": {"a": [1]}},
    ),
    Explained(
        "structured data that is not msgpack",
        LENIENT,
        packed(meta_struct={"a": b"\xc1"}),
        read={"meta_struct": {"a": {"base64": "wQ=="}}},
    ),
    Explained(
        "bytes in structured data",
        "the test agent decodes them, but cannot show them: its answers are JSON",
        packed(meta_struct={"a": msgpack.packb({"b": b"x"})}),
        read={"meta_struct": {"a": {"b": {"base64": "eA=="}}}},
    ),
    Explained(
        "a metric that is infinite",
        NO_JSON,
        packed(metrics={"a": float("inf")}),
        field="metrics.a",
        read={"metrics": {}},
    ),
    Explained(
        "a time with a fraction",
        "times are whole nanoseconds in every version of the format; the test agent does not check",
        packed(start=1.5),
        field="start",
        read={"start": 0},
    ),
    Explained("no body", "a request without traces; the test agent requires an empty list", b""),
    Explained(
        "deep nesting",
        "what is nested deeper than a capture allows is recorded as bytes",
        packed(more=json.loads("[" * 120 + "]" * 120)),
    ),
    Explained(
        "no content type",
        "v0.4 is msgpack unless a tracer says that it is JSON; the test agent requires the header",
        packed(),
        read={"name": SPAN["name"]},
        headers={},
    ),
)


def counted_early(cell: Cell, request: AgentRequest, difference: Difference) -> bool:
    """Return whether a check failed because the tracer counts its traces before it encodes them.

    Those that end in between are sent too. Releases from 2.13 on count while they encode:
    `AgentWriter.flush_queue` in
    https://github.com/DataDog/dd-trace-py/blob/v2.12.4/ddtrace/internal/writer/writer.py
    """
    if difference.field != "trace_count_header":
        return False
    count = int(request.headers["x-datadog-trace-count"])
    return Version(cell.ddtrace) < Version("2.13") and len(request.body) > count


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VendorAgent]:
    with vendor_agent(tmp_path_factory.mktemp("test-agent")) as running:
        yield running


def sent(path: str, headers: Mapping[str, str], body: bytes, *, traces: int = 1) -> AgentRequest:
    """Return the request as the recording agent keeps it, with the headers of every tracer."""
    counted = {
        "datadog-meta-tracer-version": "9.9.9",
        "x-datadog-trace-count": str(traces),
        **headers,
    }
    method = "POST" if path == TELEMETRY_PATH else "PUT"
    return AgentRequest(0.0, method, path, counted, decode(path, headers, body))


@pytest.mark.index
@pytest.mark.parametrize("case", EXPLAINED, ids=lambda case: case.name)
def test_what_is_read_differently_is_explained(judge: VendorAgent, case: Explained) -> None:
    request = sent(case.path, case.headers, case.body)
    (difference,) = differences(request, judge.read(request, case.body))
    assert difference.field == case.field, case.reason
    read = [vars(span) for span in spans_in(request)]
    assert len(read) == bool(case.read)
    assert [{name: span[name] for name in case.read} for span in read] == [case.read] * len(read)


@pytest.mark.index
@given(traces_of(SPANS))
def test_generated_traces_of_v04_are_read_equally(judge: VendorAgent, traces: list[Any]) -> None:
    body = msgpack.packb(traces)
    for path in (V03, V04):
        request = sent(path, MSGPACK, body, traces=len(traces))
        assert list(differences(request, judge.read(request, body))) == []


@pytest.mark.index
@given(traces_of(PLAIN_SPANS))
def test_generated_traces_in_every_format_are_read_equally(
    judge: VendorAgent, traces: list[Any]
) -> None:
    for path, headers, body in (
        (V03, JSON, json.dumps(traces).encode()),
        (V04, {**MSGPACK, "content-encoding": "gzip"}, gzip.compress(msgpack.packb(traces))),
        (V05, MSGPACK, msgpack.packb(as_v05(traces))),
    ):
        request = sent(path, headers, body, traces=len(traces))
        reading = judge.read(request, body)
        assert list(differences(request, reading)) == []
        assert len(reading.spans) == sum(map(len, traces))


@pytest.mark.index
@given(st.dictionaries(TEXT, STRUCTURES, max_size=3))
def test_generated_telemetry_is_read_equally(judge: VendorAgent, message: dict[str, Any]) -> None:
    body = json.dumps(message).encode()
    request = sent(TELEMETRY_PATH, JSON, body)
    reading = judge.read(request, body)
    assert list(differences(request, reading)) == []
    assert reading.telemetry == (message,)


# A release of each generation, in the company of its time, and both frameworks.
CELLS = (
    (Cell("3.9", "linux_x86_64", "django", "3.2.12", "0.58.5"), dt.date(2022, 4, 1)),
    (Cell("2.7", "linux_x86_64", "flask", "1.1.4", "1.20.19"), dt.date(2024, 1, 10)),
    (Cell("3.11", "linux_x86_64", "django", "5.2.7", "2.21.12"), dt.date(2025, 11, 1)),
    (Cell("3.13", "linux_x86_64", "flask", "3.1.2", "4.14.0"), dt.date(2026, 11, 29)),
)


@pytest.mark.cells
@pytest.mark.index
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("cell", "as_of"), CELLS, ids=[cell.id for cell, _ in CELLS])
def test_the_captures_of_all_probes_are_read_equally(
    judge: VendorAgent,
    cell: Cell,
    as_of: dt.date,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    if cell.python not in {found.python for found in find_interpreters()}:
        pytest.skip(f"no CPython {cell.python} here")
    ran = run_real_cell(cell, as_of, prepare=prepare_recording_worker)
    assert ran.failed is None, ran.detail
    capture = CellCapture.from_json(json.loads(json.dumps(ran.to_json())))
    probed = {exchange.probe for process in capture.processes for exchange in process.exchanges}
    probes = load_probes().values()
    assert probed >= {probe.name for probe in probes if probe.runs_in(cell.framework)}

    counts: Counter[str] = Counter()
    found: list[Difference] = []
    for request in (request for process in capture.processes for request in process.agent):
        if request.path in UNREAD:
            continue
        reading = judge.read(request, raw_body(request))
        found += (
            difference
            for difference in differences(request, reading)
            if not counted_early(cell, request, difference)
        )
        counts += Counter(
            requests=1,
            spans=len(reading.spans),
            telemetry=len(reading.telemetry),
            structures=sum(len(span.get("meta_struct") or ()) for span in reading.spans),
            checks=sum(n for (_, result), n in reading.checks.items() if result == "Passed_Checks"),
        )
    record_testsuite_property(cell.id, json.dumps(counts))
    assert found == []
    assert counts["spans"] > counts["requests"] > 0
    assert counts["telemetry"]
    assert counts["checks"] > counts["spans"]


@pytest.mark.parametrize(
    ("release", "count", "explained"),
    [("2.12.4", 1, True), ("2.12.4", 3, False), ("2.13.3", 1, False)],
)
def test_a_wrong_count_of_traces_is_explained_only_where_the_tracer_counts_early(
    release: str, count: int, explained: bool
) -> None:
    cell = Cell("3.9", "linux_x86_64", "flask", "1.1.4", release)
    request = sent(V04, MSGPACK, msgpack.packb([[SPAN], [SPAN]]), traces=count)
    failed = Reading(spans=(SPAN, SPAN), checks={("trace_count_header", "Failed_Checks"): 1})
    (difference,) = differences(request, failed)
    assert counted_early(cell, request, difference) is explained
    other = dataclasses.replace(difference, field="name")
    assert not counted_early(cell, request, other)


@pytest.mark.parametrize("field", [*SPAN, "meta_struct", "span_links"])
def test_a_difference_in_any_field_is_found(field: str) -> None:
    request = sent(V04, MSGPACK, packed())
    value = SPAN.get(field, {})
    other = {**value, "more": "x"} if isinstance(value, dict) else f"{value}x"
    (found,) = differences(request, Reading(spans=({**SPAN, field: other},)))
    if field in ("trace_id", "span_id"):
        assert found.field == "spans"
    else:
        assert found.field in (field, f"{field}.more")
    assert not list(differences(request, Reading(spans=(SPAN,))))


def test_a_span_or_message_that_only_one_read_and_a_failed_check_are_found() -> None:
    request = sent(V04, MSGPACK, packed())
    failed = {("trace_count_header", "Failed_Checks"): 1, ("trace_stall", "Passed_Checks"): 1}
    for reading, field in (
        (Reading(), "spans"),
        (Reading(spans=(SPAN, SPAN)), "spans"),
        (Reading(refused="400"), "refused"),
        (Reading(spans=(SPAN,), checks=failed), "trace_count_header"),
    ):
        assert [item.field for item in differences(request, reading)] == [field]
    telemetry = sent(TELEMETRY_PATH, JSON, b'{"a": 1}')
    assert [item.field for item in differences(telemetry, Reading())] == ["telemetry"]
    undecodable = sent(V04, MSGPACK, b"\xc1")
    assert not list(differences(undecodable, Reading(refused="400")))
    assert base64.b64decode(undecodable.body["base64"]) == b"\xc1"
