"""Real worker processes: they die, hang, are left alone, and never take the run with them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.processes import gone, kill
from helpers.run_fakes import MINIMUM, FakeEnvironments, capture, planned

from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.runs.workers import Workers
from matrix.system.paths import project_root

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")
ENVIRONMENT = FakeEnvironments()._make(planned(MINIMUM))
SECONDS = 30.0


class Doing:
    """Does what the job, a text, says; starts a child that `abandon` kills."""

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


def make_job(request: CellRequest) -> str:
    return key


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(Doing(tmp_path), make_job, count=1, limit=SECONDS)
    yield made
    made.kill()


def submit(workers: Workers, job: str) -> CellCapture:
    result = workers.submit(request(job), ignore).result(SECONDS)
    assert result.capture is not None
    return result.capture


def test_a_worker_answers_and_is_used_again(workers: Workers) -> None:
    assert [submit(workers, job).key for job in ("one", "two")] == ["one", "two"]


def test_a_dead_worker_is_a_reason_and_is_replaced(workers: Workers) -> None:
    dead = submit(workers, "die")
    assert (dead.failed, dead.key, dead.cell) == (Reason.INTERNAL_ERROR, "die", MINIMUM)
    assert "signal 9" in dead.detail
    assert submit(workers, "fine").failed is None


def test_a_surprise_in_a_worker_is_told_with_its_trace(workers: Workers) -> None:
    surprise = submit(workers, "raise")
    assert surprise.failed is Reason.INTERNAL_ERROR
    assert "RuntimeError: surprise" in surprise.detail
    assert submit(workers, "fine").failed is None


def test_a_cell_that_overstays_is_ended_with_what_it_started(tmp_path: Path) -> None:
    workers = Workers(Doing(tmp_path), make_job, count=1, limit=3.0)
    try:
        late = submit(workers, "hang")
        assert late.failed is Reason.TIMED_OUT
        pids = [int(text) for text in (tmp_path / "pids").read_text().split()]
        until(lambda: all(gone(pid) for pid in pids))
        assert submit(workers, "fine").failed is None
    finally:
        workers.kill()


def test_killing_ends_all_at_once(workers: Workers, tmp_path: Path) -> None:
    future = workers.submit(request("hang"), ignore)
    until((tmp_path / "pids").exists)
    workers.kill()
    assert future.result(SECONDS).failed is Reason.INTERRUPTED
    pids = [int(text) for text in (tmp_path / "pids").read_text().split()]
    until(lambda: all(gone(pid) for pid in pids))


class Slow(Doing):
    """Takes a moment to end."""

    def abandon(self) -> None:
        time.sleep(1.0)
        super().abandon()


def test_a_cell_that_comes_while_all_are_killed_ends_too(tmp_path: Path) -> None:
    workers = Workers(Slow(tmp_path), make_job, count=1, limit=SECONDS)
    workers.submit(request("hang"), ignore)
    until((tmp_path / "pids").exists)
    killing = threading.Thread(target=workers.kill)
    killing.start()
    until(lambda: not workers._tasks.empty())  # the worker is told that there is nothing more
    assert submit(workers, "late").failed is Reason.INTERRUPTED
    killing.join()
    assert submit(workers, "later").failed is Reason.INTERRUPTED


def test_a_full_disk_at_the_start_of_a_cell_is_its_reason(tmp_path: Path) -> None:
    def full(of: PlannedCell, environment: Environment, key: str) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    workers = Workers(Doing(tmp_path), full, count=1, limit=SECONDS)
    failed = submit(workers, "one")
    assert (failed.failed, failed.key) == (Reason.DISK_FULL, "one")
    workers.kill()


_MAIN = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from test_workers import ENVIRONMENT, Doing, make_job
from helpers.run_fakes import MINIMUM, planned
from matrix.runs.workers import Workers
if __name__ == "__main__":
    workers = Workers(Doing(Path(sys.argv[1])), make_job, count=1, limit=60)
    workers.submit(request("hang"), ignore).result()
"""


def test_kill_9_of_the_run_leaves_nothing_behind(tmp_path: Path) -> None:
    tests = project_root() / "tests"
    script = tmp_path / "run.py"
    script.write_text(_MAIN.format(paths=[str(tests), str(tests / "runs"), str(tests.parent)]))
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)]) as run:
        until((tmp_path / "pids").exists)
        pids = [int(text) for text in (tmp_path / "pids").read_text().split()]
        assert not any(gone(pid) for pid in pids)
        run.kill()
        run.wait()
        until(lambda: all(gone(pid) for pid in pids))
