"""Processes in a sandbox of this machine, by the launcher; what it isolates is found by trying.

Linux has namespaces; where they are not permitted it may have Landlock. Elsewhere, and where there
is neither, processes see what the user sees.
"""

from __future__ import annotations

import atexit
import contextlib
import dataclasses
import functools
import json
import os
import platform
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.model.capture import PARTS
from matrix.system.paths import project_root
from matrix.system.sandbox import View

if sys.platform == "linux":
    from matrix.system.launcher import KILL, LANDLOCK, NAMESPACES, TERMINATE
    from matrix.system.namespaces import NOBODY
else:
    KILL = TERMINATE = b""
    NAMESPACES = LANDLOCK = ""
    NOBODY = 0

_START_SECONDS = 20.0
_END_SECONDS = 10.0
_KILLED = -9
_PROGRAM = (
    "import sys; sys.path.insert(0, sys.argv[1]); from matrix.system.launcher import main; main()"
)
_ELSEWHERE = f"no sandbox on {sys.platform}"
_TRIAL = ["/bin/sh", "-c", ":"]
# Before, the kernel counted all processes of the user, also those outside: user_namespaces(7).
_COUNTS_APART = (5, 14)


@dataclasses.dataclass(frozen=True)
class ProcessLimits:
    """Limits of each process: memory of its own and the size of a file in bytes; and how many
    processes and threads there may be.
    """

    data_bytes: int = 4 << 30
    file_bytes: int = 1 << 30
    processes: int = 256


@dataclasses.dataclass(frozen=True)
class Mechanism:
    """Isolation of processes as it works here, in words, and the `PARTS` that it lacks.

    `name` is "" where they are kept from nothing; `user` is whom root becomes.
    """

    name: str
    text: str
    user: int = 0
    missing: tuple[str, ...] = ()

    @property
    def own_files(self) -> bool:
        """Tell whether processes have a file system of their own."""
        return bool(self.name) and self.name == NAMESPACES


NONE = Mechanism("", "no sandbox", missing=PARTS[1:])


class Launcher:
    """The launcher of this process; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None

    def send(self, request: Mapping[str, Any], streams: Sequence[int]) -> socket.socket:
        """Send a request; return the socket that controls the new process. Raises OSError."""
        if sys.platform != "linux":
            raise OSError(_ELSEWHERE)
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._lock:
                sock = self._connect()
                socket.send_fds(sock, [b"x"], [theirs.fileno(), *streams])
            ours.sendall(json.dumps(request).encode() + b"\n")
        except BaseException:
            ours.close()
            raise
        return ours

    def _connect(self) -> socket.socket:
        if self._requests is None or self._process is None or self._process.poll() is not None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", _PROGRAM, str(project_root())],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    env={},
                    cwd="/",
                    start_new_session=True,
                )
            self._requests = ours
        return self._requests

    def close(self) -> None:
        """End the launcher; the processes that it started end with their own sockets."""
        if self._requests is not None and self._process is not None:
            self._requests.close()
            self._process.wait()


_LAUNCHER = Launcher()
atexit.register(_LAUNCHER.close)


class SandboxedTree:
    """A process and its descendants in a sandbox: none of them outlives it, or this process.

    As `ProcessTree`; `kill` may be called by any thread.
    """

    def __init__(  # noqa: PLR0913 - the parts of a process
        self,
        mechanism: Mechanism,
        view: View,
        argv: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        *,
        streams: tuple[int, int, int],
        limits: ProcessLimits | None = None,
    ) -> None:
        """Start the tree with standard input, output and error; raise OSError where that fails."""
        request = {
            "mechanism": mechanism.name,
            "user": mechanism.user,
            "steps": view.steps(),
            "argv": [os.fspath(argument) for argument in argv],
            "environment": dict(environ),
            "folder": str(folder),
            "limits": dataclasses.asdict(limits or default_limits()),
        }
        self.exit_code: int | None = None
        self.cpu_seconds: float | None = None
        """The CPU time of the tree, once the first process has ended."""
        self._received = b""
        self._control = _LAUNCHER.send(request, streams)
        self._readable = selectors.DefaultSelector()
        self._readable.register(self._control, selectors.EVENT_READ)
        answer = self._receive(_START_SECONDS)
        if answer is None or "errno" in answer or "code" in answer:
            self.close()
            if answer is None:
                raise OSError("the sandbox did not start in time")
            text = answer.get("text", "the launcher ended")
            raise OSError(answer.get("errno", 0), text, os.fspath(argv[0]))

    def poll(self) -> int | None:
        """Return the exit code of the first process, None while it runs."""
        if self.exit_code is None and (answer := self._receive(0.0)) is not None:
            self._end(answer)
        return self.exit_code

    def wait(self, seconds: float) -> int:
        """Wait for the exit code of the first process; raise subprocess.TimeoutExpired."""
        if self.exit_code is None:
            answer = self._receive(seconds)
            if answer is None:
                raise subprocess.TimeoutExpired("a sandboxed process", seconds)
            return self._end(answer)
        return self.exit_code

    def terminate(self) -> None:
        """Send SIGTERM to the first process and its group."""
        self._send(TERMINATE)

    def kill(self) -> None:
        """End all processes of the tree at once."""
        self._send(KILL)

    def close(self) -> None:
        """Kill what is left, and wait until it has ended."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(_END_SECONDS)
        self._readable.close()
        self._control.close()

    def _end(self, answer: Mapping[str, Any]) -> int:
        code: int = answer["code"]
        self.exit_code, self.cpu_seconds = code, answer.get("cpu")
        return code

    def _send(self, command: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended
            self._control.sendall(command)

    def _receive(self, seconds: float) -> dict[str, Any] | None:
        """Return the next answer, None if none arrives within so many seconds."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self._received:
            remaining = max(0.0, deadline - time.monotonic())
            if not self._readable.select(remaining):
                return None
            try:
                data = self._control.recv(4096)
            except OSError:
                data = b""
            if not data:  # the keeper was killed
                return {"code": _KILLED}
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


def default_limits() -> ProcessLimits:
    """Return the limits, as far as this kernel can count for each sandbox apart."""
    numbers = platform.release().split(".")[:2]
    apart = all(map(str.isdecimal, numbers)) and tuple(map(int, numbers)) >= _COUNTS_APART
    return ProcessLimits() if apart else ProcessLimits(processes=8192)


@functools.cache
def mechanism(*, allow_user: bool = True) -> Mechanism:
    """Return the best mechanism that works for this process, found by trying each once.

    `allow_user` is whether root may become another user, who cannot read what root alone can.
    """
    if sys.platform != "linux":
        return dataclasses.replace(NONE, text=_ELSEWHERE)
    errors = []
    for candidate in _candidates(allow_user=allow_user):
        try:
            _try(candidate)
        except OSError as error:  # noqa: PERF203 - the next one is tried
            errors.append(f"{candidate.name}: {error}")
        else:
            why = f" ({'; '.join(errors)})" if errors and candidate.missing else ""
            return dataclasses.replace(candidate, text=candidate.text + why)
    return dataclasses.replace(NONE, text=f"no sandbox ({'; '.join(errors)})")


def _candidates(*, allow_user: bool) -> list[Mechanism]:
    if sys.platform != "linux":
        return []
    words = "own user, mount, PID and IPC namespaces"
    landlock = Mechanism(LANDLOCK, "files by Landlock only", missing=("processes", "user", "ipc"))
    if os.getuid() == 0:
        as_root = Mechanism(NAMESPACES, f"{words} as root", missing=("user",))
        as_nobody = [Mechanism(NAMESPACES, words, NOBODY)] if allow_user else []
        return [*as_nobody, as_root, landlock]
    return [Mechanism(NAMESPACES, words), landlock]


def _try(candidate: Mechanism) -> None:
    """Run a program that does nothing; raise OSError where that fails."""
    with Path(os.devnull).open("r+b") as null:
        streams = (null.fileno(),) * 3
        tree = SandboxedTree(candidate, View(), _TRIAL, {}, Path("/"), streams=streams)
        try:
            code = tree.wait(_START_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise OSError("the trial did not end in time") from error
        finally:
            tree.close()
    if code != 0:
        raise OSError(f"the trial ended with {code}")
