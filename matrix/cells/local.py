"""A sandbox on this machine: folders and processes of ours.

A process that left its group is found by a variable of its environment.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING

from matrix.cells.client import Endpoint, loopback_endpoint
from matrix.cells.env_vars import MARK, agent_variables, interpreter_environment
from matrix.cells.interface import CommandOutput
from matrix.cells.job import CellJob
from matrix.cells.log import KEEP_BYTES, PipeLog
from matrix.model.capture import NETWORK
from matrix.system.files import remove_tree
from matrix.system.network import is_isolated, isolation
from matrix.system.processes import CHILDREN, ProcessTree
from matrix.system.sandbox import View, python_paths
from matrix.system.sandboxed import SandboxedTree, mechanism

if TYPE_CHECKING:
    from typing_extensions import Self


_POLL_SECONDS = 0.01
_END_SECONDS = 10.0
_OUTPUT_BYTES = 1 << 22
_FOR_OTHERS = stat.S_IROTH | stat.S_IXOTH

Tree = ProcessTree | SandboxedTree
StartTree = Callable[[tuple[int, int, int], Mapping[str, str]], Tree]
"""Starts a process with standard input, output and error, and more variables; raises OSError."""

# `-E` shows the environment of this user's processes: man 1 ps of macOS.
_PS = ("/bin/ps", "-A", "-E", "-ww", "-o", "pid=,command=")
_PS_SECONDS = 10.0
_PS_LINE = re.compile(r"\s*(?P<pid>\d+)\s(?P<command>.*)")

# What threading and socketserver print of a thread that ends by an exception, and its last line.
_THREAD_ENDED = re.compile(
    r"Exception in thread ([^\s:]+)|Exception (?:happened|occurred) during processing of request"
)
_LAST_LINE = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b.*", re.MULTILINE)


class AppProcess:
    """A process and everything that it starts; must be stopped in any case."""

    def __init__(self, start: StartTree, *, stop: float, keep: int = KEEP_BYTES) -> None:
        """Start it; `stop` is how many seconds it gets to end by itself, `keep` as of its log.

        Raises OSError if it cannot be started.
        """
        self._stop_seconds = stop
        self._mark = secrets.token_hex(16)
        self.exit_code: int | None = None
        with contextlib.ExitStack() as stack:
            # Not those of `Popen`: a sandboxed process has none.
            their_input, our_input = _pipe(stack)
            our_output, their_output = _pipe(stack)
            streams = (their_input.fileno(), their_output.fileno(), their_output.fileno())
            self._tree = start(streams, {MARK: self._mark})
            stack.pop_all()
        their_input.close()
        their_output.close()
        self._input = our_input
        self.log = PipeLog(our_output, keep)
        CHILDREN.add(self, self.kill)

    def wait_ready(self, timeout: float) -> Endpoint | None:
        """Return the app's endpoint, None if it does not report in time that it listens."""
        port = self.log.wait_port(timeout)
        return None if port is None else loopback_endpoint(port)

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._tree.poll() is None

    @property
    def cpu_seconds(self) -> float | None:
        """The CPU time that it took, None while it runs and where the system does not tell."""
        return self._tree.cpu_seconds

    def wait_exit(self, timeout: float = 0.0) -> int | None:
        """Return the exit code if it ends by itself within so many seconds, else None."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._tree.wait(timeout)
        return None

    def stop(self) -> None:
        """End it gracefully: its input ends, and on POSIX it gets SIGTERM; kill it after that.

        `exit_code` is set if it had ended already.
        """
        self.exit_code = self._tree.poll()
        with contextlib.suppress(OSError):
            self._input.close()
        if self.exit_code is None:
            self._tree.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._tree.wait(self._stop_seconds)
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._tree.wait(_END_SECONDS)
        self.log.close()
        self._tree.close()
        CHILDREN.remove(self)

    def kill(self) -> None:
        """Kill it at once, with everything that it started, also outside of its session."""
        self._tree.kill()
        if isinstance(self._tree, SandboxedTree):
            return
        deadline = time.monotonic() + self._stop_seconds
        while kill_marked(f"{MARK}={self._mark}") and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


def _pipe(stack: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    reader, writer = os.pipe()
    return (
        stack.enter_context(os.fdopen(reader, "rb", buffering=0)),
        stack.enter_context(os.fdopen(writer, "wb", buffering=0)),
    )


def describe_survivor(log: str) -> str:
    """Return what happened in a process that did not answer and lives on, by its log."""
    match = _THREAD_ENDED.search(log)
    if match is None:
        return "the process lives on"
    thread = f"thread {match[1]}" if match[1] else "the thread of the request"
    words = next(iter(_LAST_LINE.findall(log[match.end() :])), "")
    return f"the process lives on, and {thread} ended{f' by {words}' if words else ''}"


def kill_marked(variable: str) -> bool:
    """Kill the processes with `variable` (`NAME=value`) in their environment; return whether there
    were some.

    On Windows there are none: a process cannot leave its job there.
    """
    killed = False
    if sys.platform != "win32":
        for pid in _find_marked(variable):
            killed = True
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
    return killed


def parse_ps(text: str, variable: str) -> Iterator[int]:
    """Yield the processes in the output of `ps` that have the variable."""
    for line in text.splitlines():
        if (match := _PS_LINE.fullmatch(line)) and variable in match["command"].split():
            yield int(match["pid"])


def _find_marked(variable: str) -> list[int]:
    if sys.platform == "darwin":
        # The system's own programs hide their environment there, and are missed.
        try:
            listing = subprocess.run(
                _PS, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PS_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return []
        return list(parse_ps(listing.stdout.decode("utf-8", "replace"), variable))
    entry = variable.encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                pids.append(int(folder.name))
    return pids


class LocalSandbox:
    """Runs a cell with the interpreter and the folders of its job, in a sandbox if there is one."""

    image = ""
    engine = ""

    def __init__(self, job: CellJob) -> None:
        self.python: PurePath = job.python
        self.apps: PurePath = job.apps
        self.fixtures: PurePath = job.fixtures
        self.mechanism = mechanism(allow_user=_others_may_read(job))
        self.isolation = f"{self.mechanism.text}; {isolation()}"
        self.isolated = is_isolated()
        network = () if self.isolated else (NETWORK,)
        self.not_isolated = (*network, *self.mechanism.missing)
        self.injects_tracer = False
        self._job = job
        # Otherwise a cell could fill the disk, and leave what cannot be removed.
        self._in_memory = self.mechanism.own_files and not job.keep
        self._scratch: Path | None = None

    @property
    def scratch(self) -> Path:
        """The folder of the cell; it exists while the context is open."""
        assert self._scratch is not None  # noqa: S101 - the context is open
        return self._scratch

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        folder: PurePath,
        streams: tuple[int, int, int],
        *,
        scratch: Path,
    ) -> Tree:
        """Start a process in `folder` with standard input, output and error; raise OSError.

        It may write to `scratch`.
        """
        if self.mechanism.name:
            own, writable = ((scratch,), ()) if self._in_memory else ((), (self.scratch,))
            view = dataclasses.replace(self._readable, own=own, writable=writable)
            return SandboxedTree(
                self.mechanism, view, command, environment, Path(folder), streams=streams
            )
        stdin, stdout, stderr = streams
        return ProcessTree(
            command, environment, Path(folder), stdin=stdin, stdout=stdout, stderr=stderr
        )

    def run(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the environment's interpreter to its end; its errors are in its output."""
        process = AppProcess(
            lambda streams, mark: self.start(
                [str(self.python), *arguments],
                {**interpreter_environment(self.scratch), **mark},
                self.scratch,
                streams,
                scratch=self.scratch,
            ),
            stop=0.0,
            keep=_OUTPUT_BYTES,
        )
        try:
            code = process.wait_exit(seconds)
            if code is None:
                raise TimeoutError(f"no answer within {seconds:g} s")
        finally:
            process.stop()
        return CommandOutput(code, process.log.text, cpu_seconds=process.cpu_seconds)

    def new_slot(self, name: str, *, outside: bool = False) -> LocalSlot:  # noqa: ARG002 - no place
        """Return a slot with a new folder."""
        return LocalSlot(self, self._new_folder(f"{name}-", self.scratch))

    def free_bytes(self) -> int:
        """Return how many bytes of the disk are free."""
        return shutil.disk_usage(self.scratch).free

    def check(self) -> None:
        """Do nothing: if this machine is lost, so is this process."""

    def _new_folder(self, prefix: str, parent: Path | None) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        if self.mechanism.user and sys.platform == "linux":
            os.chown(folder, self.mechanism.user, self.mechanism.user)
        return folder

    def __enter__(self) -> Self:
        self._scratch = self._new_folder("cell-", self._job.scratch)
        if self.mechanism.name:
            readable = (*python_paths(self._job.python), self._job.apps, self._job.fixtures)
            self._readable = View(readable)
        return self

    def __exit__(self, *_: object) -> None:
        if not self._job.keep:
            remove_tree(self.scratch)


class LocalSlot:
    """A folder; ports need no forwarding."""

    def __init__(self, sandbox: LocalSandbox, scratch: Path) -> None:
        self.sandbox = sandbox
        self.scratch: PurePath = scratch
        self._folder = scratch

    def forward_port(self, port: int, requested: int = 0) -> int:  # noqa: ARG002 - no choice
        """Return the same port: the cell runs on this machine."""
        return port

    def agent_variables(self, port: int) -> dict[str, str]:
        """Return the variables that tell a tracer how to reach the agent at `port`."""
        return agent_variables("127.0.0.1", port)

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> AppProcess:
        """Start an app."""
        sandbox = self.sandbox
        return AppProcess(
            lambda streams, mark: sandbox.start(
                command, {**environment, **mark}, sandbox.apps, streams, scratch=self._folder
            ),
            stop=stop,
        )

    def close(self) -> None:
        """Do nothing: no port was forwarded."""


def _others_may_read(job: CellJob) -> bool:
    """Return whether users without rights can read what the cell needs."""
    paths = (job.python.parent.parent, Path(os.path.realpath(job.python)), job.apps, job.fixtures)
    with contextlib.suppress(OSError):
        return all(path.stat().st_mode & _FOR_OTHERS == _FOR_OTHERS for path in paths)
    return False
