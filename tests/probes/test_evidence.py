"""Evidence: each predicate holds for a match, fails for a near miss, and has a text for both."""

from __future__ import annotations

import dataclasses
import json

import pytest
from helpers.observation_builders import observed, span

from matrix.model.capture import FollowUp
from matrix.model.probe import AllOf, Evidence, Observation
from matrix.probes.evidence.http import (
    BodyContains,
    DependencyReported,
    FollowUpSays,
    HeaderContains,
    StatusIs,
    UpstreamReceived,
)
from matrix.probes.evidence.security import SchemaReported, Triggered, VulnerabilityReported
from matrix.probes.evidence.spans import (
    ContinuesTrace,
    HasRootSpan,
    SpanSeen,
    TagContains,
    TagEquals,
    TagExists,
)

REPORT = {
    "triggers": [
        {
            "rule": {"id": "ua0-600-12x"},
            "rule_matches": [
                {
                    "parameters": [
                        {"address": "server.request.headers.no_cookies", "value": "Arachni/v1"}
                    ]
                }
            ],
        }
    ]
}
EXPLOIT = {
    "triggers": [
        {
            "rule": {"id": "rasp-930-100"},
            "rule_matches": [
                {
                    "parameters": [
                        {
                            "resource": {"address": "server.io.fs.file", "value": "previews/../x"},
                            "params": {"address": "server.request.query", "value": "../x"},
                        }
                    ]
                }
            ],
        }
    ]
}
TAGGED = span(
    meta={"http.url": "http://x/", "http.method": "GET"}, metrics={"http.status_code": 200}
)
QUERY = span(span_id=2, parent_id=1, name="sqlite.query", type="sql", resource="SELECT copies FROM")
FAILED = span(
    span_id=2,
    parent_id=1,
    name="sqlite.query",
    type="sql",
    resource="SELECT 1",
    error=1,
    meta={"error.type": "sqlite3.OperationalError", "error.stack": "..."},
)
NO_ORDERS = FollowUp("/x/orders", 200, '{"orders": 0}')


@pytest.mark.parametrize(
    ("evidence", "matching", "other"),
    [
        (HasRootSpan(), observed(span()), observed()),
        (HasRootSpan(error=True), observed(span(error=1)), observed(span())),
        (HasRootSpan(error=False), observed(span()), observed(span(error=1))),
        (TagEquals("http.method", "GET"), observed(TAGGED), observed(span())),
        # The status code is a tag in some releases and a metric in others.
        (TagEquals("http.status_code", "200"), observed(TAGGED), observed(span())),
        (TagContains("http.url", "x"), observed(TAGGED), observed(span(meta={"http.url": "y"}))),
        (TagExists("http.url"), observed(TAGGED), observed(span())),
        (
            SpanSeen(type="sql", resource="select copies"),
            observed(span(), QUERY),
            observed(span(resource="select copies"), FAILED),
        ),
        (SpanSeen(type="sql", error=True), observed(span(), FAILED), observed(span(), QUERY)),
        (SpanSeen(type="web"), observed(span()), observed(span(duration=0))),
        (
            ContinuesTrace(),
            # 128 bits of a trace id: the lower half is what the header names.
            observed(
                span(trace_id=2**64 + 7, parent_id=9),
                request_headers={"X-Datadog-Trace-Id": "7", "X-Datadog-Parent-Id": "9"},
            ),
            observed(
                span(trace_id=7, parent_id=8),
                request_headers={"X-Datadog-Trace-Id": "7", "X-Datadog-Parent-Id": "9"},
            ),
        ),
        (StatusIs(403), observed(status=403), observed(status=200)),
        (StatusIs(403), observed(status=403), observed(status=None, error="TimeoutError")),
        (BodyContains("blocked"), observed(body="You've been blocked"), observed(body="Welcome")),
        (
            HeaderContains("content-type", "JSON"),
            observed(headers={"Content-Type": "text/json"}),
            observed(headers={"Content-Type": "text/html"}),
        ),
        (
            FollowUpSays("orders", 0, "no order was taken"),
            observed(follow_up=NO_ORDERS),
            observed(follow_up=FollowUp("/x/orders", 200, '{"orders": 1}')),
        ),
        (
            FollowUpSays("orders", 0, "no order was taken"),
            observed(follow_up=NO_ORDERS),
            observed(follow_up=FollowUp("/x/orders", 500, '{"orders": 0}')),
        ),
        (
            UpstreamReceived("x-datadog-trace-id"),
            observed(body=json.dumps({"headers": {"x-datadog-trace-id": "7"}})),
            observed(body=json.dumps({"headers": {"x-request-id": "7"}})),
        ),
        (
            Triggered(rule="ua0-", address="server.request.headers", value="Arachni"),
            observed(span(meta={"_dd.appsec.json": json.dumps(REPORT)})),
            observed(span(meta={"_dd.appsec.json": '{"triggers": []}'})),
        ),
        # Of an exploit, the resource and the input have an address each.
        (
            Triggered(rule="rasp-930-100", address="server.io.fs.file"),
            observed(span(meta_struct={"appsec": EXPLOIT})),
            observed(span(meta_struct={"appsec": REPORT})),
        ),
        # From 3.0 on, and below the root.
        (Triggered(), observed(span(), span(meta_struct={"appsec": REPORT})), observed(span())),
        (
            Triggered(address="server.request.headers"),
            observed(span(meta_struct={"appsec": REPORT})),
            observed(span(meta={"_dd.appsec.json": "{"})),
        ),
        (
            SchemaReported("req.body"),
            observed(span(meta={"_dd.appsec.s.req.body": "H4sI"})),
            observed(span(meta={"_dd.appsec.s.req.query": "H4sI"})),
        ),
        (
            VulnerabilityReported("WEAK_HASH"),
            observed(span(meta={"_dd.iast.json": '{"vulnerabilities": [{"type": "WEAK_HASH"}]}'})),
            observed(span(meta={"_dd.iast.json": '{"vulnerabilities": [{"type": "XSS"}]}'})),
        ),
        (
            VulnerabilityReported("WEAK_HASH"),
            observed(span(meta_struct={"iast": {"vulnerabilities": [{"type": "WEAK_HASH"}]}})),
            observed(span(meta={"_dd.iast.json": "not json"})),
        ),
        (
            DependencyReported("typing_extensions"),
            observed(
                telemetry=[
                    {"payload": {"dependencies": [{"name": "Typing.Extensions", "version": "4"}]}}
                ]
            ),
            # Some releases list names only: that is no answer to which version is vulnerable.
            observed(
                telemetry=[
                    {"payload": {"dependencies": [{"name": "typing-extensions", "version": ""}]}},
                    {"payload": None},
                    {"payload": {"dependencies": None}},
                ]
            ),
        ),
        (AllOf(StatusIs(200), HasRootSpan()), observed(span()), observed()),
    ],
)
def test_evidence_is_seen_where_it_is_and_only_there(
    evidence: Evidence, matching: Observation, other: Observation
) -> None:
    assert evidence.match(matching).holds
    assert not evidence.match(other).holds
    for text in (evidence.match(matching).text, evidence.match(other).text):
        assert text
        assert "\n" not in text


@pytest.mark.parametrize(
    "evidence",
    [
        HasRootSpan(),
        TagEquals("a", "b"),
        TagContains("a", "b"),
        TagExists("a"),
        SpanSeen(),
        ContinuesTrace(),
        Triggered(),
        SchemaReported("req.body"),
        VulnerabilityReported("XSS"),
        DependencyReported("a"),
        UpstreamReceived("a"),
        FollowUpSays("orders", 0, "none"),
        BodyContains("a"),
        HeaderContains("a", "b"),
    ],
    ids=lambda evidence: type(evidence).__name__,
)
def test_nothing_seen_is_no_evidence_of_anything(evidence: Evidence) -> None:
    assert not evidence.match(observed(status=None, error="ConnectionRefusedError")).holds


def test_all_of_says_what_is_missing_only() -> None:
    match = AllOf(StatusIs(200), TagExists("a"), TagExists("b")).match(
        observed(span(meta={"b": ""}))
    )
    assert match.text == "no tag a"


def test_each_part_that_holds_is_a_clause() -> None:
    nested = AllOf(AllOf(StatusIs(200), TagExists("a")), TagExists("b"))
    match = nested.match(observed(span(meta={"a": "1", "b": "2"})))
    assert match.clauses == ("status 200", "a='1'", "b='2'")
    assert match.text == "; ".join(match.clauses)


def test_long_values_are_cut_in_the_telling() -> None:
    match = TagExists("http.url").match(observed(span(meta={"http.url": "x" * 5000})))
    assert match.holds
    assert len(match.text) < 120


@pytest.mark.parametrize("place", range(3))
def test_a_tag_on_any_span_that_stands_for_the_request_of_a_function_counts(place: int) -> None:
    trace = [
        span(name="aws.apigateway", span_id=1),
        span(name="aws.lambda", type="serverless", span_id=2, parent_id=1),
        span(span_id=3, parent_id=2),
    ]
    evidence = TagEquals("appsec.event", "true")
    assert not evidence.match(observed(*trace)).holds
    trace[place] = dataclasses.replace(trace[place], meta={"appsec.event": "true"})
    assert evidence.match(observed(*trace)).holds


def test_a_tag_below_the_root_counts_for_nothing_else() -> None:
    evidence = TagEquals("appsec.event", "true")
    tagged = {"appsec.event": "true"}
    below = span(span_id=2, parent_id=1, meta=tagged)
    assert not evidence.match(observed(span(), below)).holds
    query = span(type="sql", span_id=3, parent_id=2, meta=tagged)
    function = span(name="aws.lambda", type="serverless", span_id=2, parent_id=1)
    assert not evidence.match(observed(span(), function, query)).holds
