"""An app that sends its spans itself, and misbehaves as the file `mode` in its folder says."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]

# It is started hundreds of times and speaks plain HTTP only, which needs no slow import of `ssl`.
sys.modules["ssl"] = None  # type: ignore[assignment]
import http.client  # noqa: E402
import http.server  # noqa: E402

ACTS: dict[str, Any] = {}
if sys.platform == "linux":
    import hostile  # type: ignore[import-not-found]
    import hostile_here  # type: ignore[import-not-found]

    ACTS.update({**hostile.ACTS, **hostile_here.ACTS})

# Each process may have the same id, in a namespace of its own.
PROCESS = str(time.time_ns())
MODE = (Path(__file__).parent / "mode").read_text(encoding="ascii")
ATTACK = {"rule": {"id": "ua0-600-12x"}, "rule_matches": [{"parameters": [{"address": "a"}]}]}


class UnixConnection(http.client.HTTPConnection):
    """A connection to a Unix socket, whose path stands for the host."""

    def connect(self) -> None:
        if sys.platform == "win32":
            raise OSError("Windows has no Unix sockets")
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


class Tracer:
    """Sends one trace per request; reports version 9.9.9, or a wrong one in a mode."""

    number = 0

    def send(self, path: str, status: int, meta: dict[str, str]) -> None:
        self.number += 1
        span = {
            "name": "flask.request",
            "resource": f"GET {path}",
            "type": "web",
            "trace_id": self.number,
            "span_id": self.number,
            "parent_id": 0,
            "start": time.time_ns(),
            "duration": 1000,
            "meta": {
                "http.method": "GET",
                "http.url": path,
                "http.status_code": str(status),
                **meta,
            },
        }
        version = "9.9.8" if MODE == "wrong-version" else "9.9.9"
        scheme, _, address = agent_url().partition("://")
        kind = UnixConnection if scheme == "unix" else http.client.HTTPConnection
        agent = kind(address.rstrip("/"))
        with contextlib.closing(agent):
            try:
                agent.connect()
            except OSError:
                return  # as a tracer drops its spans
            agent.request(
                "PUT",
                "/v0.4/traces",
                msgpack.packb([[span]]),
                {"Content-Type": "application/msgpack", "Datadog-Meta-Tracer-Version": version},
            )
            answer = agent.getresponse()
            answer.read()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ConnectionError(f"the agent answered {answer.status}")


def agent_url() -> str:
    """Return the agent's address, by the variables and defaults that a tracer has."""
    if url := os.environ.get("DD_TRACE_AGENT_URL"):
        return url
    host = os.environ.get("DD_AGENT_HOST", "127.0.0.1")
    return f"http://{host}:{os.environ['DD_TRACE_AGENT_PORT']}"


def untraced() -> bool:
    return os.environ.get("DD_TRACE_ENABLED") == "false"


def die() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(600)  # this thread must do nothing more


def is_unlucky() -> bool:
    """Return whether this is one of three in four calls in all processes of the cell."""
    folder = Path(os.environ["HOME"], "..", "calls")
    folder.mkdir(exist_ok=True)
    (folder / PROCESS).touch()
    return len(list(folder.iterdir())) % 4 != 2


class Shop(http.server.BaseHTTPRequestHandler):
    tracer = Tracer()
    served = 0

    def log_message(self, *_: object) -> None:
        pass

    def crashes(self, *, attack: bool) -> bool:
        secured = "DD_APPSEC_ENABLED" in os.environ
        return {
            "crash": attack,
            "crash-in-soak": self.served > 20,
            "crash-in-soak-when-secured": secured and self.served > 20,
            "crash-now-and-then": attack
            and secured
            and MODE == "crash-now-and-then"
            and is_unlucky(),
        }.get(MODE, False)

    def do_GET(self) -> None:
        type(self).served += 1
        attack = self.headers["User-Agent"] == "Arachni/v1"
        if MODE == "reset":
            raise LookupError("no rule")
        if MODE == "late-death":
            threading.Timer(1.0, die).start()
            self.connection.close()
            return
        if self.crashes(attack=attack):
            die()
        if MODE == "hang" and attack:
            time.sleep(600)
        body = json.dumps({**os.environ, "page": self.path}).encode()
        if attack and MODE in ACTS:
            body = json.dumps(ACTS[MODE]()).encode()
        if MODE == "jammed-untraced" and untraced() and self.served > 1:
            self.wfile.write(b"HTTP/1.0 500 \r\nContent-Length: 0\r\n\r\n")
            return
        # As some releases block: without a reason phrase.
        self.wfile.write(b"HTTP/1.0 200 \r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        meta = {}
        detects = MODE != "once-in-three" or self.served % 3 == 0
        if attack and "DD_APPSEC_ENABLED" in os.environ and detects and MODE != "blind":
            meta = {"appsec.event": "true", "_dd.appsec.json": json.dumps({"triggers": [ATTACK]})}
        if MODE != "mute" and (MODE == "deaf" or not untraced()):
            self.tracer.send(self.path, 200, meta)


def main() -> None:
    if MODE == "exit":
        sys.stdout.write("no such module\n")
        sys.exit(3)
    if MODE == "never-ready":
        time.sleep(600)
    if MODE in {"hang", "stray"}:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "stray":
        subprocess.Popen(["sleep", "600"], start_new_session=True)  # noqa: S607
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    sys.stdout.write(f"bookshop ready 127.0.0.1:{server.server_port}\n")
    sys.stdout.flush()
    if MODE == "chatty":
        line = "x" * 1_000_000 + "\n"
        chat = threading.Thread(target=lambda: [sys.stdout.write(line) for _ in range(30)])
        chat.start()
        chat.join()
    sys.stdout.write("the last line\n")
    sys.stdout.flush()
    server.serve_forever()


main()
