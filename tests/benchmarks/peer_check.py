"""The experiment of `peers.py`, as a project would write it for nox, tox or riot.

    python tests/benchmarks/peer_check.py flask

The shop is started with application security on and off, under the installed tracer, and attacked.
The spans that the tracer sends must tell of the attack with it on, and not with it off.
"""

from __future__ import annotations

import http.server
import os
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

APPS = Path(os.environ["PEER_APPS"])
LAUNCH = "from ddtrace.commands.ddtrace_run import main; main()"
ATTACK = {"User-Agent": "Arachni/v1.5.1"}
SECONDS = 30.0


class Agent(http.server.ThreadingHTTPServer):
    """An agent that keeps the traces as they are sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), AgentHandler)
        self.received = b""
        threading.Thread(target=self.serve_forever, daemon=True).start()


class AgentHandler(http.server.BaseHTTPRequestHandler):
    """Takes everything."""

    def do_PUT(self) -> None:
        """Keep the body; a tracer expects rates of sampling in answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "traces" in self.path:
            self.server.received += body  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"rate_by_service": {}}')

    do_GET = do_POST = do_PUT  # noqa: N815 - names of http.server

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


def spans(framework: str, *, security: bool) -> bytes:
    """Start the shop, attack it, and return the spans that it sent."""
    agent = Agent()
    environment = {
        **os.environ,
        "DD_TRACE_AGENT_URL": f"http://127.0.0.1:{agent.server_address[1]}",
        "DD_APPSEC_ENABLED": str(security).lower(),
        "DD_REMOTE_CONFIGURATION_ENABLED": "false",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false",
        "DD_TRACE_WRITER_INTERVAL_SECONDS": "0.1",
        "DD_APPSEC_WAF_TIMEOUT": "60000",
    }
    command = [sys.executable, "-c", LAUNCH, sys.executable, str(APPS / "serve.py"), framework]
    with subprocess.Popen(
        command, cwd=APPS, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as app:
        assert app.stdout is not None
        port = next(line for line in app.stdout if line.startswith(b"bookshop ready"))
        address = port.split()[2].decode().split(":")[1]
        url = f"http://127.0.0.1:{address}/shop/?q=%3Cscript%3E"
        with urllib.request.urlopen(urllib.request.Request(url, headers=ATTACK)) as answer:
            assert answer.status == 200
        until = time.monotonic() + SECONDS
        while b"/shop/" not in agent.received and time.monotonic() < until:
            time.sleep(0.02)
        app.terminate()
        app.communicate()
    return agent.received


def main() -> None:
    """Check that the switch is what makes the difference."""
    (framework,) = sys.argv[1:]
    on, off = spans(framework, security=True), spans(framework, security=False)
    assert b"/shop/" in on, "no spans"
    assert b"/shop/" in off, "no spans with security off"
    assert b"_dd.appsec.json" in on, "the attack is not detected"
    assert b"_dd.appsec.json" not in off, "it is detected with security off"


if __name__ == "__main__":
    main()
