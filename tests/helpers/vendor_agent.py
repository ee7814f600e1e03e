"""Datadog's test agent (https://github.com/DataDog/dd-apm-test-agent) in a process of its own.

Requests that a recording agent of ours received are sent to it byte for byte; what it read is
asked by its public interface. It lives in a virtualenv of its own, from `requirements/`.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import http.client
import itertools
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
import uv

from matrix.agent import payloads, server
from matrix.cells.run import prepare_worker
from matrix.model.capture import AgentRequest
from matrix.system.paths import project_root

RAW_BODY = "raw-body"
"""The header under which a capture of a recording worker keeps the raw body of a request."""
CHECKS = (
    *("meta_tracer_version_header", "trace_content_length", "trace_count_header", "trace_stall"),
    *("trace_peer_service", "trace_dd_service", "meta_events_is_valid_json"),
)
TELEMETRY_PATH = "/telemetry/proxy/api/v2/apmtelemetry"
# It has no route for v0.3, whose payloads are those of v0.4.
_ROUTES = {
    "/v0.3/traces": "/v0.4/traces",
    "/v0.4/traces": "/v0.4/traces",
    "/v0.5/traces": "/v0.5/traces",
    TELEMETRY_PATH: TELEMETRY_PATH,
}
_FRAMING = frozenset({"host", "connection", "content-length", "transfer-encoding", RAW_BODY})
_START_SECONDS = 60.0


def prepare_recording_worker() -> None:
    """Prepare a worker whose captures keep the raw bodies, encoded as base64 in a header."""
    prepare_worker()
    pytest.MonkeyPatch().setattr(server, "decode", _decode_and_keep)


def _decode_and_keep(
    path: str, headers: Mapping[str, str], body: bytes, *, max_bytes: int
) -> object:
    # The handler records the same dictionary of headers.
    cast("dict[str, str]", headers)[RAW_BODY] = base64.b64encode(body).decode("ascii")
    return payloads.decode(path, headers, body, max_bytes=max_bytes)


def raw_body(request: AgentRequest) -> bytes:
    """Return the raw body of a request in the capture of a recording worker."""
    return base64.b64decode(request.headers[RAW_BODY])


@dataclasses.dataclass(frozen=True)
class Reading:
    """What the test agent read in one request: spans of all traces, or messages of telemetry.

    `checks` counts, for each of its checks and result (`Passed_Checks`, ...), how often that was
    the result. `refused` is its reason where it could not decode the request, "" otherwise.
    """

    spans: tuple[Mapping[str, Any], ...] = ()
    telemetry: tuple[Mapping[str, Any], ...] = ()
    checks: Mapping[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    refused: str = ""


class VendorAgent:
    """A running test agent on a port of 127.0.0.1."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tokens = itertools.count(1)

    def reads(self, path: str) -> bool:
        """Return whether it decodes requests of this path."""
        return path in _ROUTES

    def read(self, request: AgentRequest, body: bytes) -> Reading:
        """Send a request as it came, with this raw body and a framing of its own."""
        path = request.path
        token = f"request-{next(self._tokens)}"
        session = f"?test_session_token={token}"
        sent = {name: value for name, value in request.headers.items() if name not in _FRAMING}
        sent["X-Datadog-Test-Session-Token"] = token
        status, reason, _ = self._request(request.method, _ROUTES[path], body, sent)
        summary = self._json(f"/test/trace_check/summary{session}")
        checks = {
            (check, result): count
            for check, results in summary.items()
            for result, count in results.items()
            if count
        }
        failed = any(result == "Failed_Checks" for _, result in checks)
        if status != http.client.OK and not failed:
            return Reading(checks=checks, refused=f"{status} {reason}")
        if path == TELEMETRY_PATH:
            return Reading(telemetry=tuple(self._json(f"/test/session/apmtelemetry{session}")))
        status, reason, answer = self._request("GET", f"/test/session/traces{session}")
        if status != http.client.OK:
            return Reading(checks=checks, refused=f"{status} {reason}")
        spans = itertools.chain.from_iterable(json.loads(answer))
        return Reading(spans=tuple(spans), checks=checks)

    def _json(self, path: str) -> Any:  # noqa: ANN401
        status, reason, answer = self._request("GET", path)
        assert status == http.client.OK, f"{path}: {status} {reason}"
        return json.loads(answer)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] = {}
    ) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.reason, response.read()


@contextlib.contextmanager
def vendor_agent(folder: Path) -> Iterator[VendorAgent]:
    """Install the locked test agent in `folder`, and run it."""
    python = _install(folder / "venv")
    ports = _free_ports(3)
    names = ("--port", "--otlp-http-port", "--otlp-grpc-port")
    options = [text for name, port in zip(names, ports, strict=True) for text in (name, str(port))]
    start = "from ddapm_test_agent.agent import main; main()"
    log = folder / "log.txt"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            (str(python), "-c", start, "--host", "127.0.0.1", "--log-level", "ERROR", *options),
            cwd=folder,
            env={**os.environ, "ENABLED_CHECKS": ",".join(CHECKS)},
            stdout=stream,
            stderr=stream,
        )
    try:
        _wait_ready(process, ports[0], log)
        yield VendorAgent(ports[0])
    finally:
        process.terminate()
        process.wait(timeout=20)


def _install(venv: Path) -> Path:
    tool = uv.find_uv_bin()
    lock = project_root() / "requirements" / "test-agent.txt"
    subprocess.run((tool, "venv", "--quiet", "--python", sys.executable, str(venv)), check=True)
    python = venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    install = (tool, "pip", "install", "--quiet", "--no-deps", "--require-hashes")
    subprocess.run((*install, "--python", str(python), "--requirements", str(lock)), check=True)
    return python


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in sockets:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in sockets]


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail(f"the test agent does not start: {log.read_text(errors='replace')[-2000:]}")
