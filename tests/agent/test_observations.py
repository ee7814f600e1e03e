"""Observations of a capture: the spans of each exchange, and whether the tracer was alive."""

from __future__ import annotations

import pytest
from helpers.observation_builders import SHOP, exchange, process, span, telemetry, traces

from matrix.agent.observations import Traces, liveness, observations_of, telemetry_messages
from matrix.model.capture import AgentRequest, Soak
from matrix.model.reason import Reason

WARM_UP = exchange(probe="", channel="", stimulus="")
URL = f"http://127.0.0.1:1/{SHOP}/orders"


def test_the_root_is_found_by_the_unique_segment_with_its_trace() -> None:
    root = span(meta={"http.url": URL + "?q=1"})
    child = span(span_id=2, parent_id=1, name="view", type="", resource="orders")
    other = span(trace_id=2, span_id=9, meta={"http.url": "http://127.0.0.1:1/sfffffffffffffff/"})
    request = exchange(path=f"/{SHOP}/orders?q=1")
    captured = process([request], [traces(other), traces(child), traces(root)])
    (observation,) = observations_of(captured)
    assert observation.root == root
    assert observation.spans == (root, child)


@pytest.mark.parametrize("start", ["https://a1.execute-api", "a1.execute-api", ""])
def test_the_url_of_a_gateway_may_have_no_scheme(start: str) -> None:
    root = span(name="aws.apigateway", meta={"http.url": f"{start}/{SHOP}/"})
    assert Traces([traces(root)]).root_of(exchange()) == root
    other = span(name="aws.apigateway", meta={"http.url": f"{start}/{SHOP}/other"})
    assert Traces([traces(other)]).root_of(exchange()) is None


def test_old_releases_leave_the_query_string_out_of_the_url() -> None:
    root = span(meta={"http.url": f"http://127.0.0.1:1/{SHOP}/search"})
    assert Traces([traces(root)]).root_of(exchange(path=f"/{SHOP}/search?q=%3Cb%3E")) == root


def test_a_router_may_remove_the_slash_at_the_end_of_a_path() -> None:
    root = span(meta={"http.url": f"http://127.0.0.1:1/{SHOP}"})
    assert Traces([traces(root)]).root_of(exchange(path=f"/{SHOP}/")) == root
    assert Traces([traces(root)]).root_of(exchange(path=f"/{SHOP}/orders")) is None


def test_the_root_is_found_by_its_resource_too() -> None:
    root = span(resource=f"GET /{SHOP}/")
    assert Traces([traces(root)]).root_of(exchange()) == root


def test_an_outgoing_call_that_names_the_shop_is_not_the_root() -> None:
    root = span(meta={"http.url": f"http://127.0.0.1:1/{SHOP}/"}, parent_id=77, start=5)
    call = span(
        span_id=2, parent_id=1, type="http", start=1, meta={"http.url": f"http://up/titles/{SHOP}"}
    )
    assert Traces([traces(call), traces(root)]).root_of(exchange()) == root
    # The call is not taken for the root before the root arrives.
    assert Traces([traces(call)]).root_of(exchange()) is None


def test_the_follow_up_is_not_taken_for_the_request_itself() -> None:
    post = span(meta={"http.url": URL, "http.method": "POST"}, start=2)
    get = span(trace_id=2, span_id=2, meta={"http.url": URL, "http.method": "GET"}, start=1)
    request = exchange(method="POST", path=f"/{SHOP}/orders")
    assert Traces([traces(get), traces(post)]).root_of(request) == post
    assert Traces([traces(get)]).root_of(request) is None


def test_spans_of_other_traces_with_the_segment_in_their_resource_are_separate() -> None:
    root = span(meta={"http.url": URL})
    test = span(trace_id=2, span_id=2, type="test", resource=f"test_shop.py::test_shop[{SHOP}]")
    call = span(trace_id=3, span_id=3, type="http", meta={"http.url": f"http://up/titles/{SHOP}"})
    request = exchange(path=f"/{SHOP}/orders")
    captured = process([request], [traces(test), traces(call), traces(root)])
    (observation,) = observations_of(captured)
    assert observation.root == root
    assert observation.elsewhere == (test,)


def test_a_job_that_is_named_as_the_segment_is_a_separate_trace() -> None:
    root, job = (
        span(meta={"http.url": URL}),
        span(trace_id=2, span_id=2, type="", meta={"job_id": SHOP}),
    )
    request = exchange(path=f"/{SHOP}/orders")
    (observation,) = observations_of(process([request], [traces(job), traces(root)]))
    assert observation.root == root
    assert observation.elsewhere == (job,)


def test_tests_that_are_sent_as_events_have_spans_with_their_metadata() -> None:
    content = {
        "trace_id": 7,
        "span_id": 8,
        "parent_id": 1,
        "name": "pytest.test",
        "type": "test",
        "resource": f"test_shop[{SHOP}]",
        "meta": {"test.status": "pass"},
    }
    body = {
        "metadata": {"*": {"language": "python", "test.status": "old"}, "test": {"a": "b"}},
        "events": [
            {"type": "test", "content": content},
            # A session is no span; the others are damaged.
            {"type": "test_session_end", "content": {"test_session_id": 1, "meta": {}}},
            *({"type": "test"}, "x", {"type": "test", "content": {**content, "trace_id": None}}),
        ],
    }
    path = "/evp_proxy/v2/api/v2/citestcycle"
    (test,) = Traces([AgentRequest(1.0, "POST", path, {}, body)]).elsewhere(exchange(), None)
    assert (test.name, test.resource) == ("pytest.test", f"test_shop[{SHOP}]")
    assert test.meta == {"language": "python", "test.status": "pass", "a": "b"}


@pytest.mark.parametrize("body", [None, [], {"undecodable": "x"}, {"events": {"a": 1}}])
def test_what_is_no_list_of_test_events_has_no_spans(body: object) -> None:
    request = AgentRequest(1.0, "POST", "/evp_proxy/v2/api/v2/citestcycle", {}, body)
    assert Traces([request]).elsewhere(exchange(), None) == ()


def test_spans_that_arrive_later_are_added() -> None:
    root = span(meta={"http.url": URL})
    first = traces(span(trace_id=2))
    spans = Traces([first])
    assert spans.root_of(exchange(path=f"/{SHOP}/orders")) is None
    spans.update([first, traces(root)])
    assert spans.root_of(exchange(path=f"/{SHOP}/orders")) == root


def test_a_loop_of_parents_does_not_hang() -> None:
    one = span(span_id=1, parent_id=2, meta={"http.url": URL})
    two = span(span_id=2, parent_id=1)
    assert Traces([traces(one, two)]).root_of(exchange(path=f"/{SHOP}/orders")) is not None


def test_structured_data_is_decoded() -> None:
    root = span(meta={"http.url": URL}, meta_struct={"appsec": {"triggers": [1]}})
    decoded = Traces([traces(root)]).root_of(exchange(path=f"/{SHOP}/orders"))
    assert decoded is not None
    assert decoded.meta_struct == {"appsec": {"triggers": [1]}}


def test_a_batch_of_telemetry_is_unwrapped() -> None:
    batch = {
        "request_type": "message-batch",
        "application": {"tracer_version": "2.0.0"},
        "payload": [{"request_type": "app-started", "payload": {}}, "garbage"],
    }
    plain = {"request_type": "app-heartbeat", "payload": {}}
    other = AgentRequest(1.0, "POST", "/v0.7/config", {}, {"request_type": "no telemetry"})
    messages = telemetry_messages([telemetry(batch), other, telemetry(plain)])
    assert [item["request_type"] for item in messages] == ["app-started", "app-heartbeat"]
    assert messages[0]["application"] == {"tracer_version": "2.0.0"}


ROOT = span(meta={"http.url": f"http://127.0.0.1:1/{SHOP}/"})


@pytest.mark.parametrize(
    ("reported", "pinned"),
    [("1.9.0", "1.9.0"), ("1.7.0-rc1", "1.7.0rc1"), ("1.7.0rc2.dev3+gabc", "1.7.0rc2.dev3")],
)
def test_a_tracer_is_alive_that_traced_the_first_request_and_has_the_right_version(
    reported: str, pinned: str
) -> None:
    assert liveness(process([WARM_UP], [traces(ROOT, version=reported)]), pinned).alive


def test_the_version_may_come_by_telemetry_or_remote_configuration() -> None:
    message = telemetry({"request_type": "app-started", "application": {"tracer_version": "1.9.0"}})
    poll = AgentRequest(
        1.0, "POST", "/v0.7/config", {}, {"client": {"client_tracer": {"tracer_version": "1.9.0"}}}
    )
    for request in (message, poll):
        assert liveness(process([WARM_UP], [traces(ROOT, version=""), request]), "1.9.0").alive
    assert not liveness(process([WARM_UP], [traces(ROOT, version="")]), "1.9.0").alive


def test_an_app_that_answers_without_its_tracer_is_broken() -> None:
    result = liveness(process([WARM_UP]), "1.9.0")
    assert result.reason is Reason.BROKEN_START
    assert "no span" in result.detail


def test_another_version_is_a_wrong_install() -> None:
    result = liveness(process([WARM_UP], [traces(ROOT, version="1.9.0")]), "1.9.1")
    assert result.reason is Reason.WRONG_INSTALL


def test_an_error_page_is_a_broken_start() -> None:
    page = exchange(probe="", channel="", stimulus="", status=500)
    result = liveness(process([page], [traces(ROOT)]), "1.9.0")
    assert result.reason is Reason.BROKEN_START
    assert "500" in result.detail


def test_a_process_that_never_answered_keeps_its_own_reason() -> None:
    dead = process(failed=Reason.CRASHED, detail="died of signal 11 before it was ready")
    assert liveness(dead, "1.9.0").reason is Reason.CRASHED


def test_a_process_that_crashed_later_was_alive_before() -> None:
    crashed = process([WARM_UP], [traces(ROOT)], failed=Reason.CRASHED, exit_code=-11)
    assert liveness(crashed, "1.9.0").alive


def test_a_soak_is_as_alive_as_its_process() -> None:
    soak = Soak(sent=2, statuses={}, errors={}, benign=None, alive=False, seconds=1.0)
    assert liveness(process(soak=soak), "1.9.0").alive
    dead = process(soak=soak, failed=Reason.CRASHED)
    assert liveness(dead, "1.9.0").reason is Reason.CRASHED
