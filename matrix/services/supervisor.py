"""POSIX only: the process that supervises one server, and ends it when it is no longer needed.

It reads one line of JSON (`ServerSpec`) from its standard input, and keeps the server running as
long as that stays open, so the server ends however the parent ends. It adopts orphans of its
server, and where it is killed itself, the kernel kills the server. It reports `started` or
`failed` by lines of JSON on its standard output.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if sys.platform == "win32":
    raise ImportError("POSIX only: supervision needs signals and Unix sockets")


from matrix.services.forwarder import Forwarder, tcp_dial, unix_listener
from matrix.services.server import FOLDER_VARIABLE, ServerSpec
from matrix.system.network import isolate

_SUBREAPER, _DEATH_SIGNAL = 36, 1  # PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG: see prctl(2)
_POLL_SECONDS = 0.02
_STOP_SECONDS = 4.0
_ORPHAN_SECONDS = 4.0
_LOG_BYTES = 8_000_000
_LOG_CHECK_SECONDS = 5.0


class _InputClosedError(Exception):
    """Our standard input has ended."""


class _ServerFailedError(Exception):
    """The server does not start, or ended; the message is the reason."""


class _Supervisor:
    def __init__(self, spec: ServerSpec) -> None:
        self._spec = spec
        self._folder = Path(spec.folder)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._forwarders: list[Forwarder] = []
        self._log = (self._folder / "log").open("ab", buffering=0)
        self._wakeup, write_end = os.pipe()
        for end in (self._wakeup, write_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, _stop)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> None:
        """Start the server and wait for its end; raise _ServerFailedError, _InputClosedError."""
        deadline = time.monotonic() + self._spec.seconds
        self._run_steps(self._spec.prepare, deadline)
        self._processes = [self._start(command, b"") for command in self._spec.commands]
        self._wait_for_ports(deadline)
        self._run_steps(self._spec.ready, deadline)
        for path, port in zip(self._spec.sockets, self._spec.ports, strict=False):
            listener = unix_listener(Path(path))
            Path(path).chmod(0o777)
            self._forwarders.append(Forwarder(listener, tcp_dial("127.0.0.1", port)))
        _report("started")
        while True:
            self._check_processes()
            self.wait(_LOG_CHECK_SECONDS)
            with contextlib.suppress(OSError):
                if (self._folder / "log").stat().st_size > _LOG_BYTES:
                    os.truncate(self._folder / "log", 0)

    def end(self) -> None:
        """End all processes, by their stop signal first, and remove the folder."""
        for forwarder in self._forwarders:
            forwarder.close()
        for process in self._processes:
            _signal_group(process, self._spec.stop)
        deadline = time.monotonic() + _STOP_SECONDS
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(deadline - time.monotonic(), 0.0))
            _signal_group(process, signal.SIGKILL)
            process.wait()
        deadline = time.monotonic() + _ORPHAN_SECONDS
        while (orphans := _children()) and time.monotonic() < deadline:
            for orphan in orphans:
                with contextlib.suppress(OSError):
                    os.kill(orphan, signal.SIGKILL)
                    os.waitpid(orphan, 0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def wait(self, seconds: float) -> None:
        """Wait until a child ends or the time is over; raise _InputClosedError."""
        ready = select.select([0, self._wakeup], [], [], seconds)[0]
        if self._wakeup in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._wakeup, 4096)
        if 0 in ready and not os.read(0, 4096):
            raise _InputClosedError

    def _run_steps(self, steps: Sequence[tuple[list[str], str]], deadline: float) -> None:
        for command, text in steps:
            process = self._start(command, text.encode())
            self._processes.append(process)
            while process.poll() is None:
                self.wait(max(deadline - time.monotonic(), _POLL_SECONDS))
                self._check_deadline(deadline)
            self._processes.remove(process)
            if process.returncode:
                raise _ServerFailedError(_describe_end(command[0], process.returncode))

    def _wait_for_ports(self, deadline: float) -> None:
        for port in self._spec.ports:
            while True:
                self._check_processes()
                self._check_deadline(deadline)
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", port), _POLL_SECONDS * 10),
                ):
                    break
                self.wait(_POLL_SECONDS)

    def _check_processes(self) -> None:
        for number, process in enumerate(self._processes):
            if process.poll() is not None:
                command = self._spec.commands[number]
                raise _ServerFailedError(_describe_end(command[0], process.returncode))

    def _check_deadline(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise _ServerFailedError(f"not ready within {self._spec.seconds:g} s")

    def _start(self, command: Sequence[str], stdin: bytes) -> subprocess.Popen[bytes]:
        read_end, write_end = os.pipe()
        try:
            os.write(write_end, stdin)  # less than a pipe holds
        finally:
            os.close(write_end)
        user, group = self._spec.user or (None, None)
        as_user: dict[str, Any] = {"user": user, "group": group, "extra_groups": []} if user else {}
        try:
            return subprocess.Popen(
                list(command),
                stdin=read_end,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**self._spec.environment, FOLDER_VARIABLE: str(self._folder)},
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into a loaded library
                **as_user,
            )
        except OSError as error:
            raise _ServerFailedError(f"cannot start {command[0]}: {error}") from error
        finally:
            os.close(read_end)


def main() -> None:
    """Run the server of the first line of standard input; end with exit code 0."""
    with os.fdopen(0, "rb", buffering=0, closefd=False) as stream:
        line = stream.readline()
    if not line.endswith(b"\n"):
        sys.exit(0)
    spec = ServerSpec(**json.loads(line))
    # First, as it must be alone in the process. Servers run as another user where we are root, and
    # a user namespace of our own would not have that user.
    isolate(own_user=spec.user is None)
    _prctl(_SUBREAPER, 1)
    supervisor = _Supervisor(spec)
    try:
        supervisor.run()
    except _InputClosedError:
        pass
    except (_ServerFailedError, OSError) as error:
        _report("failed", str(error))
        # The parent reads the log before the folder is removed.
        with contextlib.suppress(_InputClosedError):
            while True:
                supervisor.wait(60.0)
    finally:
        supervisor.end()


def _report(event: str, detail: str = "") -> None:
    with contextlib.suppress(OSError):
        os.write(1, (json.dumps({"event": event, "detail": detail}) + "\n").encode())


def _stop(*_: object) -> None:
    raise _InputClosedError


def _describe_end(program: str, code: int) -> str:
    end = f"died of signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"{Path(program).name}: {end}"


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)


def _children() -> list[int]:
    """Return our children, adopted ones included; none where the system does not list them."""
    children: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += map(int, path.read_text(encoding="ascii").split())
    return children


_LIBC = ctypes.CDLL(None, use_errno=True)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        _LIBC.prctl(option, value, 0, 0, 0)


def _die_with_parent() -> None:
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)
