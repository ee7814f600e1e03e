"""A real Dask cluster on this machine: a scheduler and workers, each a process of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from helpers.processes import gone
from matrix.cells.env_vars import MARK
from matrix.system.paths import project_root

__all__ = ["SECONDS", "DaskCluster", "Scheduler", "Worker", "environment", "until"]

SECONDS = 120.0
_POLL_SECONDS = 0.02


def until(condition: Callable[[], bool], message: str = "timeout") -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, message
        time.sleep(_POLL_SECONDS)


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of the processes, without a container engine."""
    return {**os.environ, "DOCKER_HOST": "unix:///there/is/none.sock", **changes}


class OutputLines:
    """The output of a process, line by line, as it comes."""

    def __init__(self, stream: IO[str]) -> None:
        self.all: list[str] = []
        self._new: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.all.append(line)
                self._new.put(line)

    def wait(self, text: str) -> str:
        """Return the next line with this text."""
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                line = self._new.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no {text!r} in {''.join(self.all)}") from None
            if text in line:
                return line

    def join(self) -> None:
        self._thread.join(SECONDS)


class Scheduler:
    """`dask scheduler`, with the same port when it is started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def start(self) -> None:
        file = self._folder / "scheduler.json"
        file.unlink(missing_ok=True)
        port = self.address.rpartition(":")[2] or "0"
        command = (sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1")
        options = ("--port", port, "--dashboard-address", "127.0.0.1:0", "--no-show")
        with (self._folder / "scheduler.log").open("ab") as log:
            self._process = subprocess.Popen(
                (*command, *options, "--scheduler-file", str(file)),
                stdout=log,
                stderr=log,
                env={**os.environ, "DASK_TEMPORARY_DIRECTORY": str(self._folder)},
            )
        until(lambda: file.is_file() and bool(file.read_text()), "no scheduler")
        self.address = json.loads(file.read_text(encoding="utf-8"))["address"]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Worker:
    """`python -m matrix worker`."""

    def __init__(self, address: str, *options: str) -> None:
        command = (sys.executable, "-m", "matrix", "worker", address, "--engine", "local", *options)
        self.process = subprocess.Popen(
            command,
            cwd=project_root(),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.process.stdout is not None
        self.output = OutputLines(self.process.stdout)

    def children(self) -> list[int]:
        """Return the processes below it; Linux only."""
        return list(_below(self.process.pid))

    def runs_a_cell(self) -> bool:
        """Return whether an app that it has started runs now."""
        return any(_is_app(pid) for pid in self.children())

    def kill(self) -> list[int]:
        """Kill it as a machine that loses its power does; return what was below it."""
        below = self.children()
        self.process.kill()
        self.process.wait()
        self.output.join()
        return below

    def leave(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SECONDS)
        self.output.join()
        return code

    def close(self) -> None:
        below = self.kill() if self.process.poll() is None else []
        until(lambda: all(map(gone, below)), "processes of a killed worker still run")


class DaskCluster:
    """A scheduler and workers, of `jobs` cells at a time each."""

    def __init__(self, folder: Path, workers: int, jobs: int = 1) -> None:
        self.scheduler = Scheduler(folder)
        self.workers: list[Worker] = []
        try:
            self.scheduler.start()
            for _ in range(workers):
                self.workers.append(Worker(self.scheduler.address, "--jobs", str(jobs)))
            for worker in self.workers:
                worker.output.wait("worker ready")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.scheduler.kill()


def _below(pid: int) -> Iterator[int]:
    tasks = Path(f"/proc/{pid}/task")
    try:
        lists = [(task / "children").read_text().split() for task in tasks.iterdir()]
    except OSError:
        return
    for child in (int(word) for words in lists for word in words):
        yield child
        yield from _below(child)


def _is_app(pid: int) -> bool:
    try:
        return f"{MARK}=".encode() in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
