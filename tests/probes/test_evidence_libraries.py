"""Evidence of a traced library: a span below the request's, or the trace in a log record."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from helpers.observation_builders import observed, span

from matrix.probes.evidence.spans import RecordTellsTrace, SpanBelow

ROOT = span(name="bookshop.request", span_id=1)
TRACE = 2**64 * 7 + 5


def below(**fields: Any) -> Any:  # noqa: ANN401
    plain = {"name": "redis.command", "span_id": 2, "parent_id": 1, "type": "redis"}
    meta = {"component": "redis", "out.host": "127.0.0.1"}
    return span(**{**plain, "resource": "GET book", "meta": meta, **fields})


REDIS_SPAN = SpanBelow(
    names=("redis.command", "redis.query"),
    component="redis",
    resource="GET *",
    tags=(("out.host", "127.*"),),
)


def test_the_library_s_span_is_found_by_any_of_its_names() -> None:
    assert REDIS_SPAN.match(observed(ROOT, below())).holds
    assert REDIS_SPAN.match(observed(ROOT, below(name="redis.query"))).holds
    match = REDIS_SPAN.match(observed(ROOT, below(name="memcached.command")))
    assert not match.holds
    assert "memcached.command" in match.text


def test_a_release_without_the_tag_component_is_told_by_the_name_alone() -> None:
    assert REDIS_SPAN.match(observed(ROOT, below(meta={"out.host": "127.0.0.1"}))).holds
    other = {"component": "rediscluster", "out.host": "127.0.0.1"}
    assert not REDIS_SPAN.match(observed(ROOT, below(meta=other))).holds


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"duration": 0}, "no duration"),
        ({"resource": "SET book"}, "'SET book', not GET *"),
        ({"meta": {"component": "redis"}}, "no tag out.host"),
        ({"meta": {"out.host": "10.0.0.1"}}, "out.host='10.0.0.1', not 127.*"),
    ],
)
def test_what_a_span_lacks_is_said(changes: dict[str, Any], problem: str) -> None:
    match = REDIS_SPAN.match(observed(ROOT, below(**changes)))
    assert not match.holds
    assert problem in match.text


def test_a_span_of_another_integration_is_told_with_whose_it_is() -> None:
    match = REDIS_SPAN.match(observed(ROOT, below(meta={"component": "valkey"})))
    assert match.text == (
        "no span redis.command or redis.query of redis below the request's,"
        " only redis.command of valkey"
    )


def test_the_request_s_own_span_is_never_the_library_s() -> None:
    assert not SpanBelow(names=("*",)).match(observed(ROOT)).holds
    assert not SpanBelow().match(observed(None, below())).holds


def test_a_tag_may_be_a_number() -> None:
    evidence = SpanBelow(names=("redis.*",), tags=(("out.port", "6379"),))
    assert evidence.match(observed(ROOT, below(metrics={"out.port": 6379.0}))).holds


def test_an_error_has_its_mark_its_type_and_its_stack() -> None:
    evidence = SpanBelow(names=("redis.*",), error=True)
    whole = {"error.type": "ValueError", "error.stack": "Traceback"}
    assert evidence.match(observed(ROOT, below(error=1, meta=whole))).holds
    for broken in (
        below(error=0, meta=whole),
        below(error=1, meta={"error.type": "ValueError"}),
        below(error=1, meta={"error.stack": "Traceback"}),
    ):
        assert not evidence.match(observed(ROOT, broken)).holds


@pytest.mark.parametrize(
    ("record", "holds"),
    [
        ({"dd.trace_id": "5"}, True),
        ({"dd.trace_id": 5}, True),
        ({"dd.trace_id": str(TRACE)}, True),
        ({"dd.trace_id": f"{TRACE:032x}"}, True),
        ({"dd.trace_id": "6"}, False),
        ({"dd.trace_id": "0"}, False),
        ({"dd.trace_id": ""}, False),
        ({"dd.trace_id": "five"}, False),
        ({}, False),
        ([], False),
    ],
)
def test_a_log_record_tells_the_trace_of_its_request(record: object, holds: bool) -> None:
    observation = observed(span(trace_id=5), body=json.dumps(record))
    assert RecordTellsTrace("dd.trace_id").match(observation).holds is holds


def test_a_log_record_tells_nothing_without_a_trace_or_without_a_record() -> None:
    evidence = RecordTellsTrace("dd.trace_id")
    assert not evidence.match(observed(body='{"dd.trace_id": "5"}')).holds
    assert not evidence.match(observed(span(trace_id=5), body="Traceback")).holds


def test_a_span_of_a_trace_of_its_own_is_looked_for_elsewhere() -> None:
    evidence = SpanBelow(names=("pytest.test",), own=True)
    found = span(name="pytest.test", trace_id=TRACE, resource="test_shop[s1]")
    assert not evidence.match(observed(ROOT, below(name="pytest.test"))).holds
    assert evidence.match(dataclasses.replace(observed(ROOT), elsewhere=(found,))).holds
    other = dataclasses.replace(observed(ROOT), elsewhere=(below(),))
    assert not evidence.match(other).holds


def test_a_value_that_was_passed_separately_is_nowhere_in_the_span() -> None:
    sanitized = SpanBelow(names=("redis.command",), resource="GET *", without="Emma")
    match = sanitized.match(observed(ROOT, below()))
    assert match.holds
    assert "without 'Emma'" in match.text
    for changes in ({"resource": "GET emma"}, {"meta": {"redis.raw_command": "GET Emma"}}):
        leaking = sanitized.match(observed(ROOT, below(**changes)))
        assert not leaking.holds
        assert "has 'Emma' in" in leaking.text


MS = 1_000_000
LONG_ROOT = span(name="bookshop.request", span_id=1, start=1000 * MS, duration=200 * MS)


@pytest.mark.parametrize(
    ("start", "duration", "problem"),
    [
        (1050, 101, ""),
        (995, 101, ""),  # within a step of the clock
        (900, 101, "starts 100.0 ms before the request"),
        (0, 101, "starts 1000.0 ms before the request"),
        (1150, 101, "ends 51.0 ms after the request"),
        (1050, 12, "has a duration of 12.0 ms, not 90 ms"),
        (1050, 0, "has no duration"),
    ],
)
def test_the_time_of_a_call_that_waits_is_within_the_request_and_as_long(
    start: int, duration: int, problem: str
) -> None:
    timed = SpanBelow(names=("redis.command",), timed=True, at_least=0.09)
    item = below(start=start * MS, duration=duration * MS)
    match = timed.match(observed(LONG_ROOT, item))
    assert match.holds == (not problem)
    assert problem in match.text
    if not problem:
        assert "of a time within the request's and at least 0.09 s" in match.text
