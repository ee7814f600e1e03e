"""Jobs of worker processes that end, fail or hang by their names, and a client for them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from helpers.processes import kill
from helpers.run_fakes import MINIMUM, FakeEnvironments, capture, planned
from matrix.model.capture import CellCapture
from matrix.runs.interface import CellRequest
from matrix.runs.workers import Workers

SECONDS = 30.0
ENVIRONMENT = FakeEnvironments()._make(planned(MINIMUM))


class ScriptedWork:
    """Work that follows the name of the job; `hang` starts a child that `abandon` kills."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        pass

    def run(self, job: str) -> CellCapture:
        if job == "die":
            kill(os.getpid())
        if job == "raise":
            raise RuntimeError("surprise")
        if job == "hang":
            code = "import time; time.sleep(600)"
            self.child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
            part = self.folder / "part"
            part.write_text(f"{os.getpid()} {self.child.pid}")
            part.rename(self.folder / "pids")
            self.child.wait()
        return capture(MINIMUM, job)

    def abandon(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.child.wait()


def job_name(request: CellRequest) -> str:
    """Return the job of a request, which is its key."""
    return request.key


def request(job: str) -> CellRequest:
    return CellRequest(0, planned(MINIMUM), ENVIRONMENT, job)


def ignore(_text: str) -> None:
    """Take progress that no test reads."""


def run_job(workers: Workers, job: str) -> CellCapture:
    result = workers.submit(request(job), ignore).result(SECONDS)
    assert result.capture is not None
    return result.capture


def process_ids(folder: Path) -> list[int]:
    """Return the ids of the worker that hangs and of its child."""
    return [int(text) for text in (folder / "pids").read_text().split()]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
