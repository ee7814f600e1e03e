"""The relay of a cell's container, run by an interpreter of this machine without a container."""

from __future__ import annotations

import contextlib
import errno
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.processes import gone, wait_until
from helpers.relay_pipes import RELAY, ProcessPipe, running_relay

from matrix.cells.log import BoundedLog
from matrix.cells.relay import RelayClient, RelayedApp, RelayLostError
from matrix.cells.relay_protocol import Frame, FrameKind
from matrix.interpreters.discovery import find_interpreters
from matrix.services.forwarder import unix_dial

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a container is of Linux")
MARK = "BOOKSHOP_PROCESS"
BASE = {"PATH": "/usr/bin:/bin", MARK: "a-mark"}


def start(relay: RelayClient, code: str, mark: str = "a-mark", **more: str) -> RelayedApp:
    return relay.start(
        [sys.executable, "-u", "-c", code],
        {**BASE, MARK: f"{mark}-{os.getpid()}", **more},
        folder="/",
        log=BoundedLog(),
    )


def memory(pid: int) -> int:
    """Return the most that a process had in memory so far, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_a_process_has_its_arguments_its_environment_and_its_folder(tmp_path: Path) -> None:
    new_folder = tmp_path / "room"
    code = "import os, sys; print(os.getcwd(), os.environ['WORD'], sys.argv[1:], os.getsid(0))"
    with running_relay() as (relay, _):
        process = relay.start(
            [sys.executable, "-c", code, "a b", "", "ü"],
            {**BASE, "WORD": "größe = 1"},
            folder=str(tmp_path),
            new_folder=str(new_folder),
            log=(log := BoundedLog()),
        )
        assert process.ended.result(10) == 0
        assert log.wait_end(10)
    assert log.text.split()[0] == str(tmp_path)
    assert "größe = 1 ['a b', '', 'ü']" in log.text
    assert new_folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(("code", "expected"), [("raise SystemExit(3)", 3), ("kill", -9)])
def test_the_exit_code_of_a_process_is_reported(code: str, expected: int) -> None:
    code = code.replace("kill", "import os; os.kill(os.getpid(), 9)")
    with running_relay() as (relay, _):
        assert start(relay, code).ended.result(10) == expected


def test_signals_that_python_ignores_are_reset_in_started_processes() -> None:
    code = "import signal as s; print(s.getsignal(s.SIGINT) is s.default_int_handler)"
    with running_relay() as (relay, _):
        process = start(relay, code)
        assert process.log.wait_end(10)
        assert process.log.text == "True\n"


@pytest.mark.parametrize(
    ("command", "folder", "number"),
    [(["/nowhere/python"], "/", errno.ENOENT), (["/bin/sh"], "/nowhere", errno.ENOENT),
     (["/etc/passwd"], "/", errno.EACCES)],
)  # fmt: skip
def test_a_command_that_cannot_be_started_has_its_errno(
    command: list[str], folder: str, number: int
) -> None:
    with running_relay() as (relay, _):
        with pytest.raises(OSError, match=r".") as caught:
            relay.start(command, BASE, folder=folder, log=BoundedLog())
        assert caught.value.errno == number
        assert start(relay, "pass").ended.result(10) == 0


def test_a_folder_that_cannot_be_made_is_an_error_of_that_process(tmp_path: Path) -> None:
    with running_relay() as (relay, _), pytest.raises(FileExistsError):
        relay.start(["/bin/true"], BASE, folder="/", new_folder=str(tmp_path), log=BoundedLog())


def test_a_process_that_cannot_be_forked_is_an_error_of_that_process() -> None:
    pipe = ProcessPipe()
    relay = RelayClient(pipe)
    try:
        relay.wait_hello(10)
        # No more processes for anybody of this user than there are: root is not held by it.
        if sys.platform != "linux":
            return
        import resource  # noqa: PLC0415

        resource.prlimit(pipe.process.pid, resource.RLIMIT_NOFILE, (8, 8))
        with pytest.raises(OSError, match="open files") as caught:
            start(relay, "pass")
        assert caught.value.errno == errno.EMFILE
        resource.prlimit(pipe.process.pid, resource.RLIMIT_NOFILE, (8, 8))
        assert relay.lost is None
        assert relay.measure("/")[0] > 0
    finally:
        relay.close()
        assert pipe.end() == 0


def test_standard_input_stays_open_until_it_is_closed() -> None:
    with running_relay() as (relay, _):
        process = start(relay, "import sys; print('ready'); sys.stdin.read(); print('over')")
        assert process.log.wait_line("ready", 10)
        assert not process.ended.done()
        process.close_input()
        assert process.ended.result(10) == 0


def test_a_hundred_megabytes_of_output_are_relayed_and_not_kept() -> None:
    flood = "import os\nfor _ in range(100): os.write(1, b'x' * 1000000)\nprint('the end')"
    with running_relay() as (relay, pipe):
        process = start(relay, flood)
        beside = start(relay, "print('me too')")
        assert beside.ended.result(5) == 0
        assert process.ended.result(60) == 0
        assert process.log.wait_end(10)
        assert process.log.text.endswith("the end\n")
        assert len(process.log.text) < 100_000
        assert memory(pipe.process.pid) < 60_000_000


def test_output_that_is_not_read_blocks_its_process_and_no_other() -> None:
    with running_relay() as (relay, pipe):
        process = start(relay, "import os\nwhile True: os.write(1, b'x' * 1000000)")
        process._owed = -(1 << 40)  # never give credit back
        assert wait_until(lambda: len(process.log.text) > 30_000)
        assert start(relay, "print('me too')").ended.result(10) == 0
        time.sleep(0.2)
        assert memory(pipe.process.pid) < 60_000_000
        assert not process.ended.done()
        process.kill(5)
        assert process.ended.result(5) == -9


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body[::-1])

    def log_message(self, *_: object) -> None:
        pass


def post(sock: socket.socket, body: bytes) -> bytes:
    """Send a request in a thread, so that both ways are full at once; return the body."""
    head = b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % len(body)
    sender = threading.Thread(target=sock.sendall, args=(head + body,))
    sender.start()
    answer = bytearray()
    while piece := sock.recv(65536):
        answer += piece
    sender.join()
    sock.close()
    return bytes(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize("size", [0, 1, 3_000_000])
def test_connections_go_out_and_come_in_at_once(size: int) -> None:
    body = os.urandom(size)
    with reversing_server() as port, running_relay() as (relay, _):
        channel, inside = relay.forward_port(port)
        out = post(socket.create_connection(("127.0.0.1", inside), 10), body)
        into = post(relay.endpoint(port).connect(10), body)
        assert out == into == body[::-1]
        relay.release(channel)
        assert wait_until(lambda: refused(inside))


@contextlib.contextmanager
def reversing_server() -> Iterator[int]:
    """Yield the port of a server that answers with what it was sent, reversed."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_port_is_forwarded_from_another_address() -> None:
    with reversing_server() as port, running_relay() as (relay, _):
        _, inside = relay.forward_port(port, address="127.0.0.2")
        assert refused(inside)
        assert post(socket.create_connection(("127.0.0.2", inside), 10), b"there") == b"ereht"


def test_a_unix_socket_is_forwarded_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "agent.socket"
    with reversing_server() as port, running_relay() as (relay, _):
        channel, _ = relay.forward_port(port, address=str(path))
        assert post(unix_dial(str(path))(), b"there") == b"ereht"
        with pytest.raises(OSError, match=r"[Aa]ddress"):
            relay.forward_port(port, address=str(path))
        relay.release(channel)
        assert wait_until(lambda: not path.exists())


def refused(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return True
    return False


def test_a_hundred_connections_at_once() -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.request_queue_size = 200
    server.socket.listen(200)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    answers: list[bytes] = []
    with running_relay() as (relay, _):
        endpoint = relay.endpoint(server.server_port)

        def visit(number: int) -> None:
            body = b"%d" % number * 20_000
            answers.append(post(endpoint.connect(20), body))
            assert answers[-1]

        visits = [threading.Thread(target=visit, args=(number,)) for number in range(100)]
        for item in visits:
            item.start()
        for item in visits:
            item.join()
    assert sorted(answers) == sorted((b"%d" % n * 20_000)[::-1] for n in range(100))
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_closed_port_inside_refuses_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with running_relay() as (relay, _), pytest.raises(ConnectionRefusedError):
        relay.endpoint(port).connect(5)


def test_a_closed_port_outside_breaks_the_connection_inside() -> None:
    with running_relay() as (relay, _):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        _, inside = relay.forward_port(port)
        out = socket.create_connection(("127.0.0.1", inside), 5)
        with out, contextlib.suppress(ConnectionError):
            assert out.recv(1) == b""


STRAY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print("stray", os.getpid())
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


def stray_of(process: RelayedApp) -> int:
    line = process.log.wait_line("stray", 10)
    assert line is not None
    return int(line.split()[1])


def test_a_process_is_killed_with_all_that_it_started() -> None:
    with running_relay() as (relay, _):
        process = start(relay, STRAY)
        stray = stray_of(process)
        other = start(relay, "print('up', flush=True); import time; time.sleep(600)", "another")
        assert other.log.wait_line("up", 10)
        process.signal(signal.SIGTERM)
        assert process.kill(5) == 0
        assert process.ended.result(5) == -9
        assert gone(stray)
        assert not other.ended.done()
        other.kill(5)


def test_the_relay_ends_with_its_input_and_ends_everything_that_it_started() -> None:
    pipe = ProcessPipe()
    relay = RelayClient(pipe)
    relay.wait_hello(10)
    process = start(relay, STRAY)
    stray = stray_of(process)
    waiting = []
    thread = threading.Thread(target=lambda: waiting.append(process.ended.exception(10)))
    thread.start()
    pipe.close()
    assert wait_until(lambda: relay.lost is not None)
    thread.join(5)
    assert isinstance(waiting[0], RelayLostError)
    assert pipe.process.wait(5) == 0
    assert gone(stray)
    with pytest.raises(RelayLostError):
        start(relay, "pass")
    with pytest.raises(RelayLostError):
        relay.forward_port(1)
    relay.close()
    pipe.end()


def test_a_connection_ends_with_the_relay() -> None:
    with running_relay() as (relay, pipe), socket.create_server(("127.0.0.1", 0)) as server:
        sock = relay.endpoint(server.getsockname()[1]).connect(5)
        pipe.process.kill()
        assert sock.recv(1) == b""
        sock.close()


def test_interrupts_from_inside_do_not_end_it() -> None:
    with running_relay() as (relay, pipe):
        pipe.process.send_signal(signal.SIGINT)
        assert start(relay, "pass").ended.result(10) == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 9,
        bytes(Frame(FrameKind.LISTEN, 1)),  # not the driver's to choose
        bytes(Frame(FrameKind.START, 2)),
        bytes(Frame(FrameKind.CONNECT, 2, b"\xff\xff\xff\xff")),
        bytes(Frame(FrameKind.CONNECT, 2, b"")),
        bytes(Frame(FrameKind.HELLO, 0)),
    ],
)
def test_the_relay_ends_after_invalid_frames(garbage: bytes) -> None:
    command = [sys.executable, "-S", "-E", "-B", str(RELAY)]
    finished = subprocess.run(command, input=garbage, capture_output=True, timeout=10, check=False)
    assert finished.returncode == 70
    assert b"the relay ends" in finished.stderr


@pytest.mark.cells
@pytest.mark.parametrize("python", ["2.7", "3.6", "3.7", "3.8", "3.9", "3.10", "3.12", "3.13"])
def test_every_interpreter_can_run_it(python: str, tmp_path: Path) -> None:
    interpreters = [item for item in find_interpreters() if item.python == python]
    if not interpreters:
        pytest.skip(f"no CPython {python} here")
    with running_relay(interpreters[0].executable) as (relay, _), reversing_server() as port:
        process = start(relay, STRAY)
        assert process.log.wait_line("stray", 10)
        with pytest.raises(FileNotFoundError):
            relay.start(["/nowhere"], BASE, folder="/", log=BoundedLog())
        _, inside = relay.forward_port(port)
        relay.forward_port(port, address=str(tmp_path / "socket"))
        body = os.urandom(1_000_000)
        tcp = socket.create_connection(("127.0.0.1", inside), 10)
        for connection in (tcp, unix_dial(str(tmp_path / "socket"))()):
            assert post(connection, body) == body[::-1]
        assert post(relay.endpoint(port).connect(10), body) == body[::-1]
        assert process.kill(5) == 0
        assert process.ended.result(5) == -9
