"""Linux only: a program that starts sandboxed processes, so that each costs a few forks only.

It is started once by a process that runs cells, `python -I -S`, and ends with it. Each request is a
socket, sent with the standard streams of the new process; on it follow the request as a line of
JSON and a line of JSON in answer: `{}` for a start, or `errno` and `text`. Later a line with `code`
follows, as in subprocess, and `cpu` seconds, once nothing of the process is left. The client sends
`T` for SIGTERM; everything is killed when it sends `K` or closes the socket.

It is our own also where bubblewrap is installed. That has the same namespaces and starts in less (8
ms of CPU time instead of 13, beside 1.4 for a process without either), but a launcher of ours would
have to start it, for the limits, for SIGTERM to the app and for the report of its end; root would
stay root; and what is isolated would depend on its version, so both ways would have to be tested.

For each process there is a keeper, which waits for these; the first process of the new process ids,
which reaps orphans, and ends everything with the app; and the app.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from typing import IO, Any, NoReturn

if sys.platform != "linux":
    raise ImportError("Linux only: it makes namespaces")

import resource

from matrix.system import landlock
from matrix.system.namespaces import (
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_PDEATHSIG,
    enter,
    leave,
    limit,
    prctl,
)

NAMESPACES = "namespaces"
LANDLOCK = "landlock"
TERMINATE, KILL = b"T", b"K"
_STREAMS = 3

Request = Mapping[str, Any]
"""`argv`, `environment`, `folder`, `mechanism`, `user`, `steps`, `limits`."""


def main() -> None:
    """Serve requests from the socket that is standard input, until it is closed."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(0)) as requests:
        while True:
            data, received, *_ = socket.recv_fds(requests, 1, _STREAMS + 1)
            if not data:
                return
            if os.fork() == 0:
                requests.close()
                _run(_keep, *received)
            for number in received:
                os.close(number)


def _run(function: Any, *arguments: Any) -> NoReturn:  # noqa: ANN401 - any function
    """Call a function in a process that was forked for it, and exit."""
    code = 1
    try:
        function(*arguments)
        code = 0
    finally:
        os._exit(code)


def _keep(control_fd: int, *streams: int) -> None:
    """Start the process, and report its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(_STREAMS, control_fd)
    os.closerange(control_fd + 1, max(streams) + 1)
    with socket.socket(fileno=control_fd) as control:
        with control.makefile("rb") as lines:
            request = json.loads(lines.readline())
        code: int | None = None
        try:
            prctl(PR_SET_CHILD_SUBREAPER, 1)
            if request["mechanism"] == NAMESPACES:
                leave(request["user"])
            code = _wait(control, request)
        except OSError as error:
            _answer(control, errno=error.errno or 0, text=error.strerror or str(error))
        if request["mechanism"] != NAMESPACES:
            _kill_orphans()
        if code is not None:
            spent = resource.getrusage(resource.RUSAGE_CHILDREN)
            _answer(control, code=code, cpu=spent.ru_utime + spent.ru_stime)


def _wait(control: socket.socket, request: Request) -> int:
    """Return the exit code of the app, whose namespaces have ended then; raise its OSError."""
    report, reported = os.pipe()
    first = os.fork()
    if first == 0:
        control.close()
        os.close(report)
        _run(_lead, request, reported)
    os.close(reported)
    for stream in range(_STREAMS):  # otherwise the app's output would not end with it
        os.close(stream)
    try:
        with open(report, "rb", buffering=0) as messages:
            return _follow(control, messages, first)
    finally:
        os.kill(first, signal.SIGKILL)
        os.waitpid(first, 0)


def _follow(control: socket.socket, messages: IO[bytes], first: int) -> int:
    while True:
        ready = select.select([control.fileno(), messages.fileno()], [], [])[0]
        if messages.fileno() in ready:
            message = json.loads(messages.readline() or b'{"code": -9}')
            if "errno" in message:
                raise OSError(message["errno"], message["text"])
            if "code" in message:
                return int(message["code"])
            _answer(control)
        if control.fileno() in ready:
            if control.recv(1) != TERMINATE:
                return -int(signal.SIGKILL)
            os.kill(first, signal.SIGTERM)


def _lead(request: Request, report: int) -> None:
    """Be the first process: start the app, reap orphans, report the exit code."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        if request["mechanism"] == NAMESPACES:
            enter(request["steps"], request["user"])
    except OSError as error:
        _report(report, errno=error.errno or 0, text=error.strerror or str(error))
        return
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # it is reset with the user
    failed, failure = os.pipe()
    app = os.fork()
    if app == 0:
        _run(_execute, request, failure)
    prctl(PR_SET_DUMPABLE, 0)
    signal.signal(signal.SIGTERM, lambda *_: _kill_group(app))
    os.close(failure)
    for stream in range(_STREAMS):
        os.close(stream)
    if text := os.read(failed, 4096):
        os.write(report, text)
        return
    _report(report, started=True)
    while True:
        pid, status = os.wait()
        if pid == app:
            _report(report, code=os.waitstatus_to_exitcode(status))
            return


def _execute(request: Request, failure: int) -> None:
    """Become the app."""
    os.setsid()
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
        signal.signal(number, signal.SIG_DFL)
    try:
        if request["mechanism"] == LANDLOCK:
            shown = [step for step in request["steps"] if step[0] == "show"]
            landlock.restrict(
                [path for _, path, _, writable in shown if not writable],
                [path for _, path, _, writable in shown if writable],
            )
        os.chdir(request["folder"])
        limit(request["limits"])
        os.execve(request["argv"][0], request["argv"], request["environment"])  # noqa: S606
    except OSError as error:
        _report(failure, errno=error.errno, text=error.strerror)


def _kill_orphans() -> None:
    """Kill what is left: all orphans are children of this process."""
    with contextlib.suppress(ChildProcessError):
        while True:
            with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as stream:
                children = stream.read().split()
            for child in children:
                with contextlib.suppress(OSError):
                    os.kill(int(child), signal.SIGKILL)
            os.wait()


def _kill_group(app: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(app, signal.SIGTERM)


def _report(pipe: int, **message: object) -> None:
    os.write(pipe, json.dumps(message).encode() + b"\n")


def _answer(control: socket.socket, **message: object) -> None:
    with contextlib.suppress(OSError):  # the client has gone
        control.sendall(json.dumps(message).encode() + b"\n")
