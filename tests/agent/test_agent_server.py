"""The recording agent over real sockets: its responses, its record, and broken clients."""

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


def request(
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
    return request(agent.port, "POST", "/v0.7/config", body=body)[1]


def exchange_bytes(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_info_lists_the_endpoints_that_tracers_need(agent: Agent) -> None:
    status, info = request(agent.port, "GET", "/info")
    assert status == 200
    assert {"/v0.7/config", "/v0.4/traces", "/telemetry/proxy/"} <= set(info["endpoints"])


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_traces_are_recorded(agent: Agent, method: str) -> None:
    body = msgpack.packb([[{"name": "x"}]])
    headers = {"Content-Type": "application/msgpack", "Datadog-Meta-Tracer-Version": "1.2.3"}
    answer = request(agent.port, method, "/v0.4/traces?x=1", body=body, headers=headers)
    assert answer == (200, {"rate_by_service": {}})
    recorded = agent.wait_for(lambda requests: requests[0] if requests else None, 10)
    assert recorded is not None
    assert (recorded.method, recorded.path, recorded.body) == (
        method,
        "/v0.4/traces",
        [[{"name": "x"}]],
    )
    assert recorded.headers["datadog-meta-tracer-version"] == "1.2.3"


def test_a_chunked_and_compressed_body_is_decoded(agent: Agent) -> None:
    whole = gzip.compress(json.dumps({"request_type": "app-started"}).encode())
    parts = iter([whole[:7], whole[7:9], whole[9:]])
    headers = {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"}
    request(agent.port, "POST", TELEMETRY, body=parts, headers=headers, encode_chunked=True)
    assert agent.wait_for(lambda rs: rs and rs[0].body == {"request_type": "app-started"}, 10)


def test_other_requests_of_a_tracer_are_answered_and_recorded(agent: Agent) -> None:
    for path in ("/v0.6/stats", "/evp_proxy/v2/api/v2/llmobs", "/profiling/v1/input"):
        assert request(agent.port, "POST", path, body=b"\x00\xff") == (200, {})
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
    assert exchange_bytes(agent.port, data).startswith(b"HTTP/1.1 400")
    recorded = agent.wait_for(lambda requests: requests[0] if requests else None, 10)
    assert recorded is not None
    assert "broken framing" in recorded.body["undecodable"]
    assert request(agent.port, "GET", "/info")[0] == 200
    assert agent.failed is None


def test_a_body_beyond_the_limit_is_refused() -> None:
    with Agent(max_bytes=10) as agent:
        assert request(agent.port, "POST", "/x", body=b"[1, 2, 3]")[0] == 200
        assert request(agent.port, "POST", "/x", body=b"[1, 2, 3, 4]")[0] == 413
        chunks = iter([b"[1, 2", b", 3, 4]"])
        assert request(agent.port, "POST", "/x", body=chunks, encode_chunked=True)[0] == 413


def test_all_requests_together_are_bounded_however_small_they_are_on_the_way() -> None:
    strings = ["x" * 5_000, ""]
    span = [0, 0, 0, 1, 1, 0, 1, 1, 0, {}, {}, 0]
    bomb = msgpack.packb([strings, [[span] * 1_000]])
    packed = {"Content-Type": "application/msgpack"}
    with Agent(max_bytes=50_000) as agent:
        for _ in range(3):
            chunks = iter([b'["', b"y" * 20_000, b'"]'])
            request(agent.port, "POST", "/x", body=chunks, encode_chunked=True)
        request(agent.port, "PUT", "/v0.5/traces", headers=packed, body=bomb)
        assert agent.wait_for(lambda requests: len(requests) == 4, 10)
    left_out = {"left_out": "beyond 50000 bytes"}
    assert [item.body == left_out for item in agent.requests] == [False, False, True, True]
    assert len(json.dumps([item.body for item in agent.requests])) < 50_000


def test_a_client_that_disconnects_is_no_error_of_the_agent(agent: Agent) -> None:
    with socket.create_connection(("127.0.0.1", agent.port)) as connection:
        connection.sendall(b"POST /x HTTP/1.1\r\nContent-Length: 100\r\n\r\nonly this")
    assert request(agent.port, "GET", "/info")[0] == 200
    assert agent.failed is None


def test_an_error_of_the_agent_is_recorded_and_ends_the_wait(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str, body: object) -> object:
        raise RuntimeError("no response")

    monkeypatch.setattr(agent, "respond", broken)
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        request(agent.port, "GET", "/info")
    assert agent.wait_for(lambda _: False, 60) is None
    assert isinstance(agent.failed, RuntimeError)


def test_waiting_ends_with_the_expected_request(agent: Agent) -> None:
    def has_arrived(requests: Sequence[AgentRequest]) -> bool:
        return any(item.path == "/later" for item in requests)

    thread = threading.Thread(target=request, args=(agent.port, "GET", "/later"))
    assert agent.wait_for(has_arrived, 0.05) is None
    thread.start()
    assert agent.wait_for(has_arrived, 10) is True
    thread.join()


def test_configuration_is_served_until_it_is_acknowledged(agent: Agent) -> None:
    assert poll(agent, 0) == {}
    version = agent.push([FEATURES])
    assert not agent.wait_acknowledged(version, 0.05)
    assert poll(agent, 0)["client_configs"] == ["datadog/2/ASM_FEATURES/asm/config"]
    assert not agent.wait_acknowledged(version, 0.05)
    assert poll(agent, version) == {}
    assert agent.wait_acknowledged(version, 10)


def test_a_withdrawal_is_a_version_with_its_own_acknowledgement(agent: Agent) -> None:
    first = agent.push([FEATURES])
    poll(agent, first)
    second = agent.push([])
    assert second > first
    assert not agent.wait_acknowledged(second, 0.05)
    assert poll(agent, first)["client_configs"] == []
    poll(agent, second)
    assert agent.wait_acknowledged(second, 10)


def test_a_push_of_a_file_twice_changes_nothing(agent: Agent) -> None:
    version = agent.push([FEATURES])
    with pytest.raises(ValueError, match="ASM_FEATURES"):
        agent.push([FEATURES, FEATURES])
    assert poll(agent, version) == {}


def test_a_port_in_use_is_an_error(agent: Agent) -> None:
    with pytest.raises(OSError, match="in use"):
        Agent(agent.port)


def test_the_end_closes_open_connections() -> None:
    with Agent() as agent:
        idle = socket.create_connection(("127.0.0.1", agent.port))
        request(agent.port, "GET", "/info")
    with idle:
        idle.settimeout(10)
        assert idle.recv(1) == b""
    assert [item.path for item in agent.requests] == ["/info"]


def test_the_upstream_returns_and_records_the_headers() -> None:
    with Upstream() as upstream:
        headers = {"X-Datadog-Trace-Id": "7"}
        status, answer = request(
            upstream.server_port, "GET", "/recommendations/s1", headers=headers
        )
    assert (status, answer["path"]) == (200, "/recommendations/s1")
    assert answer["headers"]["x-datadog-trace-id"] == "7"
    assert [item.headers for item in upstream.requests] == [answer["headers"]]
