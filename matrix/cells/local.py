"""A sandbox on this machine: folders and processes of ours.

A process that left its group is found by a variable of its environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from matrix.cells.client import Endpoint, loopback_endpoint
from matrix.cells.env_vars import MARK, interpreter_environment
from matrix.cells.interface import CommandOutput
from matrix.cells.job import CellJob
from matrix.cells.log import PipeLog
from matrix.system.network import is_isolated, isolation
from matrix.system.processes import CHILDREN, ProcessTree

if TYPE_CHECKING:
    from typing_extensions import Self


_POLL_SECONDS = 0.01

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

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, *, stop: float
    ) -> None:
        """Start `command` in `folder`; `stop` is how many seconds it gets to end by itself.

        Raises OSError if it cannot be started.
        """
        self._stop_seconds = stop
        self._mark = secrets.token_hex(16)
        self.exit_code: int | None = None
        self._tree = ProcessTree(
            command,
            {**environment, MARK: self._mark},
            folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._process = self._tree.process
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.log = PipeLog(self._process.stdout)
        CHILDREN.add(self, self.kill)

    def wait_ready(self, timeout: float) -> Endpoint | None:
        """Return the app's endpoint, None if it does not report in time that it listens."""
        port = self.log.wait_port(timeout)
        return None if port is None else loopback_endpoint(port)

    @property
    def alive(self) -> bool:
        """True while it runs."""
        return self._tree.poll() is None

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
            assert self._process.stdin is not None  # noqa: S101 - it is a pipe
            self._process.stdin.close()
        if self.exit_code is None:
            self._tree.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._tree.wait(self._stop_seconds)
        self.kill()
        self._process.wait()
        self.log.close()
        self._tree.close()
        CHILDREN.remove(self)

    def kill(self) -> None:
        """Kill it at once, with everything that it started, also outside of its session."""
        self._tree.kill()
        deadline = time.monotonic() + self._stop_seconds
        while kill_marked(f"{MARK}={self._mark}") and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


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
    """Runs a cell with the interpreter and the folders of its job."""

    image = ""
    engine = ""

    def __init__(self, job: CellJob) -> None:
        self.python: PurePath = job.python
        self.apps: PurePath = job.apps
        self.fixtures: PurePath = job.fixtures
        self.isolation, self.isolated = isolation(), is_isolated()
        self._parent = job.scratch
        self._keep = job.keep
        self._scratch: Path | None = None

    @property
    def scratch(self) -> Path:
        """The folder of the cell; it exists while the context is open."""
        assert self._scratch is not None  # noqa: S101 - the context is open
        return self._scratch

    def run(self, arguments: Sequence[str], seconds: float) -> CommandOutput:
        """Run the environment's interpreter to its end."""
        try:
            finished = subprocess.run(
                [str(self.python), *arguments],
                env=interpreter_environment(self.scratch),
                cwd=self.scratch,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError(f"no answer within {seconds:g} s") from error
        out, err = (text.decode("utf-8", "replace") for text in (finished.stdout, finished.stderr))
        return CommandOutput(finished.returncode, out, err)

    def new_slot(self, name: str) -> LocalSlot:
        """Return a slot with a new folder."""
        return LocalSlot(self, Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.scratch)))

    def free_bytes(self) -> int:
        """Return how many bytes of the disk are free."""
        return shutil.disk_usage(self.scratch).free

    def check(self) -> None:
        """Do nothing: if this machine is lost, so is this process."""

    def __enter__(self) -> Self:
        self._scratch = Path(tempfile.mkdtemp(prefix="cell-", dir=self._parent))
        return self

    def __exit__(self, *_: object) -> None:
        if not self._keep:
            shutil.rmtree(self.scratch, ignore_errors=True)


class LocalSlot:
    """A folder; ports need no forwarding."""

    def __init__(self, sandbox: LocalSandbox, scratch: Path) -> None:
        self.sandbox = sandbox
        self.scratch: PurePath = scratch

    def forward_port(self, port: int, requested: int = 0) -> int:  # noqa: ARG002 - no choice
        """Return the same port: the cell runs on this machine."""
        return port

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], *, stop: float
    ) -> AppProcess:
        """Start an app."""
        return AppProcess(command, environment, Path(self.sandbox.apps), stop=stop)

    def close(self) -> None:
        """Do nothing: no port was forwarded."""
