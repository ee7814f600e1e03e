"""POSIX only: a process that keeps one server: starts it, and ends it when nobody wants it.

It reads one line of JSON (`ServerSpec`) from its standard input, and keeps the server as long as
that stays open: who started it may be killed in any way. What its server starts and leaves behind
falls to it, and where it is killed itself, the kernel kills the server. It tells what happens by
lines of JSON on its standard output.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

if sys.platform == "win32":
    raise ImportError("POSIX only: servers are kept by signals and Unix sockets")


from matrix.services.forwarding import Forwarder, tcp_dial, unix_listener
from matrix.services.server import MARK, ServerSpec
from matrix.system.network import isolate

__all__ = ["main"]

_SUBREAPER, _DEATH_SIGNAL = 36, 1  # PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG: see prctl(2)
_POLL_SECONDS = 0.02
_STOP_SECONDS = 4.0
_STRAY_SECONDS = 4.0
_LOG_BYTES = 8_000_000
_LOG_LOOK_SECONDS = 5.0


class _NotWantedError(Exception):
    """Our standard input has ended."""


class _FailedError(Exception):
    """It cannot be had; the message says why."""


class _Guardian:
    def __init__(self, order: ServerSpec) -> None:
        self._order = order
        self._folder = Path(order.folder)
        self._running: list[subprocess.Popen[bytes]] = []
        self._doors: list[Forwarder] = []
        self._log = (self._folder / "log").open("ab", buffering=0)
        self._woken, wake = os.pipe()
        for end in (self._woken, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, _unwanted)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def keep(self) -> None:
        """Start it, and stay until it ends or is not wanted."""
        until = time.monotonic() + self._order.seconds
        self._steps(self._order.prepare, until)
        self._running = [self._start(command, b"") for command in self._order.commands]
        self._listening(until)
        self._steps(self._order.ready, until)
        for door, port in zip(self._order.doors, self._order.ports, strict=False):
            listener = unix_listener(Path(door))
            Path(door).chmod(0o777)
            self._doors.append(Forwarder(listener, tcp_dial("127.0.0.1", port)))
        _say("started")
        while True:
            self._alive()
            self._wait(_LOG_LOOK_SECONDS)
            with contextlib.suppress(OSError):
                if (self._folder / "log").stat().st_size > _LOG_BYTES:
                    os.truncate(self._folder / "log", 0)

    def end(self) -> None:
        """End all, softly first."""
        for door in self._doors:
            door.close()
        for process in self._running:
            _signal_group(process, self._order.stop)
        until = time.monotonic() + _STOP_SECONDS
        for process in self._running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(until - time.monotonic(), 0.0))
            _signal_group(process, signal.SIGKILL)
            process.wait()
        until = time.monotonic() + _STRAY_SECONDS
        while (strays := _children()) and time.monotonic() < until:
            for stray in strays:
                with contextlib.suppress(OSError):
                    os.kill(stray, signal.SIGKILL)
                    os.waitpid(stray, 0)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _steps(self, steps: Sequence[tuple[list[str], str]], until: float) -> None:
        for command, given in steps:
            process = self._start(command, given.encode())
            self._running.append(process)
            while process.poll() is None:
                self._wait(_LOG_LOOK_SECONDS)
                self._in_time(until)
            self._running.remove(process)
            if process.returncode:
                raise _FailedError(f"{Path(command[0]).name}: {_how(process.returncode)}")

    def _listening(self, until: float) -> None:
        for port in self._order.ports:
            while True:
                self._alive()
                self._in_time(until)
                with (
                    contextlib.suppress(OSError),
                    socket.create_connection(("127.0.0.1", port), _POLL_SECONDS * 10),
                ):
                    break
                self._wait(_POLL_SECONDS)

    def _alive(self) -> None:
        for process in self._running:
            if process.poll() is not None:
                name = Path(self._order.commands[self._running.index(process)][0]).name
                raise _FailedError(f"{name}: {_how(process.returncode)}")

    def _in_time(self, until: float) -> None:
        if time.monotonic() > until:
            raise _FailedError(f"not ready within {self._order.seconds:g} s")

    def _wait(self, seconds: float) -> None:
        """Wait for the end of a child, but not for long; raise _NotWantedError."""
        ready = select.select([0, self._woken], [], [], seconds)[0]
        if self._woken in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
        if 0 in ready and not os.read(0, 4096):
            raise _NotWantedError

    def _start(self, command: Sequence[str], given: bytes) -> subprocess.Popen[bytes]:
        read, write = os.pipe()
        try:
            os.write(write, given)  # less than a pipe holds
        finally:
            os.close(write)
        user, group = self._order.user or (None, None)
        who: dict[str, Any] = {"user": user, "group": group, "extra_groups": []} if user else {}
        try:
            return subprocess.Popen(
                list(command),
                stdin=read,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**self._order.environment, MARK: str(self._folder)},
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call into a library that is loaded
                **who,
            )
        except OSError as error:
            raise _FailedError(f"{command[0]} does not start: {error}") from error
        finally:
            os.close(read)


def main() -> None:
    """Keep what the first line of standard input says; end with exit code 0."""
    order = ServerSpec(**json.loads(_first_line()))
    # First, as it wants to be alone in the process. Servers run as another user where we are root,
    # and there is none in a user namespace of our own.
    private = isolate(own_user=order.user is None)
    _prctl(_SUBREAPER, 1)
    _say("network", words=private)
    guardian = _Guardian(order)
    try:
        guardian.keep()
    except _NotWantedError:
        pass
    except (_FailedError, OSError) as error:
        _say("failed", words=str(error))
        # What it wrote is read before it goes.
        with contextlib.suppress(_NotWantedError):
            while True:
                guardian._wait(60.0)  # noqa: SLF001 - our own
    finally:
        guardian.end()


def _first_line() -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        piece = os.read(0, 1)
        if not piece:
            sys.exit(0)
        line += piece
    return bytes(line)


def _say(event: str, words: str = "") -> None:
    with contextlib.suppress(OSError):
        os.write(1, (json.dumps({"event": event, "words": words}) + "\n").encode())


def _unwanted(*_: object) -> None:
    raise _NotWantedError


def _how(code: int) -> str:
    return f"died of signal {-code}" if code < 0 else f"ended with exit code {code}"


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    if process.poll() is None:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, number)


def _children() -> list[int]:
    """Return our children, adopted ones included; none where the system does not tell."""
    found: list[int] = []
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += map(int, path.read_text(encoding="ascii").split())
    return found


def _load_prctl() -> Callable[[int, int], object]:
    if sys.platform != "linux":
        return lambda *_: None
    call = ctypes.CDLL(None, use_errno=True).prctl
    return lambda option, value: call(option, value, 0, 0, 0)


_prctl = _load_prctl()


def _die_with_parent() -> None:
    _prctl(_DEATH_SIGNAL, signal.SIGKILL)
