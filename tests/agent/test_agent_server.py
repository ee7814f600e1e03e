"""The recording agent over real sockets: what it answers, keeps, and survives."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest

from matrix.agent.server import Agent, Upstream
from matrix.model.capture import AgentRequest
from matrix.model.probe import RemoteConfig

TELEMETRY = "/telemetry/proxy/api/v2/apmtelemetry"
FEATURES = RemoteConfig("ASM_FEATURES", "asm", {"asm": {"enabled": True}})


@pytest.fixture
def agent() -> Iterator[Agent]:
    with Agent() as running:
        yield running


def ask(
    port: int,
    method: str,
    path: str,
    **options: Any,  # noqa: ANN401
) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, **options)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def poll(agent: Agent, version: int) -> Any:  # noqa: ANN401
    body = json.dumps({"client": {"state": {"targets_version": version}}})
    return ask(agent.port, "POST", "/v0.7/config", body=body)[1]


def raw(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_info_lists_what_tracers_look_for(agent: Agent) -> None:
    status, info = ask(agent.port, "GET", "/info")
    assert status == 200
    assert {"/v0.7/config", "/v0.4/traces", "/telemetry/proxy/"} <= set(info["endpoints"])


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_traces_are_recorded(agent: Agent, method: str) -> None:
    body = msgpack.packb([[{"name": "x"}]])
    headers = {"Content-Type": "application/msgpack", "Datadog-Meta-Tracer-Version": "1.2.3"}
    answer = ask(agent.port, method, "/v0.4/traces?x=1", body=body, headers=headers)
    assert answer == (200, {"rate_by_service": {}})
    kept = agent.wait_for(lambda requests: requests[0] if requests else None, 10)
    assert kept is not None
    assert (kept.method, kept.path, kept.body) == (method, "/v0.4/traces", [[{"name": "x"}]])
    assert kept.headers["datadog-meta-tracer-version"] == "1.2.3"


def test_a_chunked_and_zipped_body_is_put_together(agent: Agent) -> None:
    whole = gzip.compress(json.dumps({"request_type": "app-started"}).encode())
    parts = iter([whole[:7], whole[7:9], whole[9:]])
    headers = {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}
    ask(agent.port, "POST", TELEMETRY, body=parts, headers=headers, encode_chunked=True)
    assert agent.wait_for(lambda rs: rs and rs[0].body == {"request_type": "app-started"}, 10)


def test_whatever_else_a_tracer_sends_is_answered_and_recorded(agent: Agent) -> None:
    for path in ("/v0.6/stats", "/evp_proxy/v2/api/v2/llmobs", "/profiling/v1/input"):
        assert ask(agent.port, "POST", path, body=b"\x00\xff") == (200, {})
    assert agent.wait_for(lambda requests: len(requests) == 3, 10)
    assert agent.failed is None


@pytest.mark.parametrize(
    "data",
    [
        b"POST /x HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        b"POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
    ],
)
def test_broken_framing_is_refused_and_recorded(agent: Agent, data: bytes) -> None:
    assert raw(agent.port, data).startswith(b"HTTP/1.1 400")
    kept = agent.wait_for(lambda requests: requests[0] if requests else None, 10)
    assert kept is not None
    assert "broken framing" in kept.body["undecodable"]
    assert ask(agent.port, "GET", "/info")[0] == 200
    assert agent.failed is None


def test_a_body_beyond_the_limit_is_refused(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matrix.agent.server.MAX_BYTES", 10)
    assert ask(agent.port, "POST", "/x", body=b"[1, 2, 3]")[0] == 200
    assert ask(agent.port, "POST", "/x", body=b"[1, 2, 3, 4]")[0] == 413
    chunks = iter([b"[1, 2", b", 3, 4]"])
    assert ask(agent.port, "POST", "/x", body=chunks, encode_chunked=True)[0] == 413


def test_a_client_that_goes_away_is_not_the_agents_failure(agent: Agent) -> None:
    with socket.create_connection(("127.0.0.1", agent.port)) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 100\r\n\r\nonly this")
    assert ask(agent.port, "GET", "/info")[0] == 200
    assert agent.failed is None


def test_an_error_within_the_agent_is_kept_and_ends_the_wait(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str, body: object) -> object:
        raise RuntimeError("no answer")

    monkeypatch.setattr(agent, "respond", broken)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        ask(agent.port, "GET", "/info")
    assert agent.wait_for(lambda _: False, 60) is None
    assert isinstance(agent.failed, RuntimeError)


def test_waiting_ends_with_the_request_that_was_waited_for(agent: Agent) -> None:
    def last_is(path: str, requests: Sequence[AgentRequest]) -> bool:
        return any(request.path == path for request in requests)

    asking = threading.Thread(target=ask, args=(agent.port, "GET", "/later"))
    assert agent.wait_for(lambda requests: last_is("/later", requests), 0.05) is None
    asking.start()
    assert agent.wait_for(lambda requests: last_is("/later", requests), 10) is True
    asking.join()


def test_configuration_is_served_until_it_is_acknowledged(agent: Agent) -> None:
    assert poll(agent, 0) == {}
    version = agent.push([FEATURES])
    assert not agent.wait_acknowledged(version, 0.05)
    assert poll(agent, 0)["client_configs"] == ["datadog/2/ASM_FEATURES/asm/config"]
    assert not agent.wait_acknowledged(version, 0.05)
    assert poll(agent, version) == {}
    assert agent.wait_acknowledged(version, 10)


def test_withdrawing_is_a_version_to_be_acknowledged_of_its_own(agent: Agent) -> None:
    first = agent.push([FEATURES])
    poll(agent, first)
    second = agent.push([])
    assert second > first
    assert not agent.wait_acknowledged(second, 0.05)
    assert poll(agent, first)["client_configs"] == []
    poll(agent, second)
    assert agent.wait_acknowledged(second, 10)


def test_a_push_of_a_file_twice_leaves_the_wanted_set_as_it_was(agent: Agent) -> None:
    version = agent.push([FEATURES])
    with pytest.raises(ValueError, match="ASM_FEATURES"):
        agent.push([FEATURES, FEATURES])
    assert poll(agent, version) == {}


def test_a_port_that_is_taken_is_an_error(agent: Agent) -> None:
    with pytest.raises(OSError, match="in use"):
        Agent(agent.port)


def test_the_end_closes_a_connection_that_is_still_open() -> None:
    with Agent() as agent:
        idle = socket.create_connection(("127.0.0.1", agent.port))
        ask(agent.port, "GET", "/info")
    with idle:
        idle.settimeout(10)
        assert idle.recv(1) == b""
    assert [request.path for request in agent.requests] == ["/info"]


def test_the_upstream_says_and_keeps_what_it_was_called_with() -> None:
    with Upstream() as upstream:
        headers = {"X-Datadog-Trace-Id": "7"}
        status, answer = ask(upstream.server_port, "GET", "/recommendations/s1", headers=headers)
    assert (status, answer["path"]) == (200, "/recommendations/s1")
    assert answer["headers"]["x-datadog-trace-id"] == "7"
    assert [request.headers for request in upstream.requests] == [answer["headers"]]
