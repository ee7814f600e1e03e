"""The program between a probe and AWS's emulator, with an emulator of our own making."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.lambda_place import PROGRAMS
from helpers.processes import processes_with, wait_until

from matrix.cells.client import HttpResponse, loopback_endpoint, send_request
from matrix.probes.capabilities.trigger_types import EVENT_HEADER, KINDS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")

# It starts the runtime, as AWS's does, and answers each event as the file `mode` says.
EMULATOR = """#!{python}
import http.server, json, os, subprocess, sys, time
port = int(sys.argv[2].partition(":")[2])
mode = open(os.path.join({folder!r}, "mode")).read()
if mode == "ends":
    sys.exit(7)
runtime = subprocess.Popen(sys.argv[5:])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with open(os.path.join({folder!r}, "events"), "a") as stream:
            stream.write(json.dumps(event) + "\\n")
        if mode == "dies" and "/die" in str(event):
            os._exit(1)
        answers = {{
            "extension": {{"errorType": "Extension.Crash", "errorMessage": "gone"}},
            "fails": {{"errorType": "RuntimeError", "errorMessage": "no"}},
            "good": {{"statusCode": 201, "headers": {{"X-Own": "1"}}, "body": "fine"}},
            "dies": {{"statusCode": 200, "body": ""}},
        }}
        body = "Task timed out" if mode == "late" else json.dumps(answers[mode])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
FUNCTION = """
import sys, time
while True:
    open(sys.argv[1], "a").write(".")
    time.sleep(0.005)
"""


@dataclasses.dataclass
class Front:
    folder: Path
    process: subprocess.Popen[str]
    port: int = 0
    lines: list[str] = dataclasses.field(default_factory=list)

    def get(self, path: str, **headers: str) -> HttpResponse:
        endpoint = loopback_endpoint(self.port)
        return send_request(endpoint, "GET", path, headers=headers, timeout=10)

    @property
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.folder / "events").read_text().splitlines()]

    @property
    def work(self) -> int:
        """How much the function has done so far."""
        work = self.folder / "work"
        return work.stat().st_size if work.exists() else 0

    def runs(self) -> bool:
        before = self.work
        return wait_until(lambda: self.work > before, 0.2)

    def rest_of_output(self) -> str:
        assert self.process.stdout
        return self.process.stdout.read()


Start = Callable[..., Front]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def start(mode: str, *, traffic: float = 60) -> Front:
            (tmp_path / "mode").write_text(mode)
            program = tmp_path / "emulator"
            program.write_text(EMULATOR.format(python=sys.executable, folder=str(tmp_path)))
            program.chmod(0o755)
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            settings = {
                "emulator": str(program),
                "port": port,
                "runtime": [sys.executable, "-c", FUNCTION, str(tmp_path / "work")],
                "task": str(tmp_path),
                "kinds": ["rest", "http", "load-balancer", "url"],
                "freeze": 0.05,
                "traffic": traffic,
            }
            process = subprocess.Popen(
                [sys.executable, "-u", str(PROGRAMS / "front.py"), json.dumps(settings)],
                stdout=subprocess.PIPE,
                text=True,
            )
            stack.callback(end, process)
            front = Front(tmp_path, process)
            assert process.stdout
            for line in process.stdout:
                front.lines.append(line)
                if line.startswith("bookshop ready "):
                    front.port = int(line.rpartition(":")[2])
                    break
            return front

        yield start


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    process.wait(10)
    assert process.stdout
    process.stdout.close()


def kind_of(event: dict[str, object]) -> str:
    context = event["requestContext"]
    assert isinstance(context, dict)
    if event.get("version") == "2.0":
        return "url" if ".lambda-url." in context["domainName"] else "http"
    return "load-balancer" if "elb" in context else "rest"


def test_requests_become_events_of_every_kind_in_turn(start: Start) -> None:
    front = start("good")
    answers = [front.get(f"/s{number}/?q=1") for number in range(6)]
    assert {(item.status, item.body, item.headers["X-Own"]) for item in answers} == {
        (201, "fine", "1")
    }
    kinds = [item.headers["X-Bookshop-Event"] for item in answers]
    # The first one only warms up.
    assert kinds == ["rest", "rest", "http", "load-balancer", "url", "rest"]
    cold, *events = front.events
    assert (cold["path"], kind_of(cold)) == ("/traffic/", "rest")
    assert [kind_of(event) for event in events] == kinds
    assert [event.get("path") or event["rawPath"] for event in events] == [
        f"/s{number}/" for number in range(6)
    ]


def test_a_request_may_choose_the_kind_of_its_event(start: Start) -> None:
    front = start("good")
    for kind in KINDS:
        answer = front.get("/s1/", **{EVENT_HEADER: kind, "X-Other": "kept"})
        assert answer.headers[EVENT_HEADER] == kind
        event = front.events[-1]
        assert kind_of(event) == kind
        passed = json.dumps(event).lower()
        assert EVENT_HEADER.lower() not in passed
        assert "x-other" in passed


def test_a_function_is_frozen_between_events(start: Start) -> None:
    front = start("good")
    assert wait_until(lambda: not front.runs(), 5), "it goes on after the cold start"
    front.get("/a")
    assert front.runs()
    assert wait_until(lambda: not front.runs(), 5), "it goes on after an event"


def test_a_function_that_nobody_asks_has_traffic_of_its_own(start: Start) -> None:
    front = start("good", traffic=0.2)
    assert wait_until(lambda: len(front.events) > 3, 10)
    assert {event["path"] for event in front.events} == {"/traffic/"}
    # Neither does it change the kinds of the probe's requests.
    assert [front.get("/a").headers["X-Bookshop-Event"] for _ in range(3)] == [
        "rest",
        "rest",
        "http",
    ]


@pytest.mark.parametrize(("mode", "word"), [("fails", "RuntimeError"), ("late", "timed out")])
def test_a_function_that_fails_is_a_bad_gateway_and_no_failure_of_the_place(
    start: Start, mode: str, word: str
) -> None:
    front = start(mode)
    answer = front.get("/a")
    assert answer.status == 502
    assert word in answer.body
    assert not any(line.startswith("place failed: ") for line in front.lines)
    assert any("the first event got 502" in line for line in front.lines)


@pytest.mark.parametrize(
    ("mode", "words"),
    [("ends", "the emulator ended with exit code 7"), ("extension", "the extension failed")],
)
def test_a_place_that_does_not_start_says_so(start: Start, mode: str, words: str) -> None:
    front = start(mode)
    assert front.port == 0
    assert front.process.wait(10) == 3
    assert any(line.startswith(f"place failed: {words}") for line in front.lines)


def test_an_emulator_that_ends_later_fails_the_place(start: Start) -> None:
    front = start("dies")
    assert front.get("/die").status is None
    assert front.process.wait(10) == 3
    assert "place failed: the emulator" in front.rest_of_output()


def test_nothing_is_left_and_no_failure_is_reported_at_the_end(start: Start) -> None:
    front = start("good", traffic=0.05)
    assert wait_until(lambda: len(front.events) > 2)
    front.process.send_signal(signal.SIGTERM)
    assert front.process.wait(10) == 0
    assert "place failed" not in front.rest_of_output()
    assert processes_with(str(front.folder)) == []
