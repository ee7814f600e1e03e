"""Commands that run until they are told to end: Ctrl-C, SIGTERM and SIGHUP are the same to them."""

from __future__ import annotations

import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence

import pytest

from matrix.errors import ExitCode
from matrix.system.paths import project_root

if sys.platform == "win32":
    pytest.skip("it needs signals", allow_module_level=True)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
NOHUP = (
    "import os, signal, sys; signal.signal(1, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
)
LEAVES = """
import threading
from matrix.cli.worker import leave_on_signal
asked = threading.Event()
with leave_on_signal(asked.is_set, asked.set):
    print("ready", flush=True)
    while not asked.wait(0.1):
        pass
    print("asked", flush=True)
    threading.Event().wait(20)
"""


class Redis(socketserver.StreamRequestHandler):
    """A server that answers whatever it is asked."""

    def handle(self) -> None:
        """Answer each line."""
        for _ in self.rfile:
            self.wfile.write(b"+redis_version:7\r\n")


@pytest.fixture
def redis() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Redis) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"redis=redis://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, cwd=project_root(), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def started(command: Sequence[str], line: str) -> subprocess.Popen[str]:
    process = start(*command)
    assert process.stdout is not None
    for text in process.stdout:
        if line in text:
            return process
    raise AssertionError(process.communicate()[1])


def service(url: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "matrix", "services", "start", "redis", "--service", url)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_service_for_work_by_hand_is_stopped(redis: str, number: signal.Signals) -> None:
    with started(service(redis), "Ctrl-C stops it") as process:
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (ExitCode.OK, "")


def test_what_nohup_keeps_is_not_ended_by_the_end_of_its_terminal(redis: str) -> None:
    command = (sys.executable, "-c", NOHUP, *service(redis))
    with started(command, "Ctrl-C stops it") as process:
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == ExitCode.OK


@pytest.mark.parametrize("number", SIGNALS)
def test_a_worker_leaves_softly_and_at_the_second_signal_at_once(number: signal.Signals) -> None:
    with started((sys.executable, "-c", LEAVES), "ready") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stderr.close()  # there is no terminal any more
        process.send_signal(number)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(number)
        assert process.wait(10) == ExitCode.INTERRUPTED
