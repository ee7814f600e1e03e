"""Real worker processes: they die, hang, are left alone, and never take the run with them."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.processes import gone
from helpers.run_fakes import MINIMUM
from helpers.worker_jobs import (
    SECONDS,
    ScriptedWork,
    ignore,
    job_name,
    process_ids,
    request,
    run_job,
    until,
)

from matrix.model.reason import Reason
from matrix.runs.interface import CellRequest
from matrix.runs.workers import Workers
from matrix.system.paths import project_root

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uses POSIX signals")


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(ScriptedWork(tmp_path), job_name, count=1, limit=lambda _: SECONDS)
    yield workers
    workers.kill()


def test_a_worker_answers_and_is_used_again(workers: Workers) -> None:
    assert [run_job(workers, job).key for job in ("one", "two")] == ["one", "two"]


def test_a_dead_worker_is_a_reason_and_is_replaced(workers: Workers) -> None:
    dead = run_job(workers, "die")
    assert (dead.failed, dead.key, dead.cell) == (Reason.INTERNAL_ERROR, "die", MINIMUM)
    assert "signal 9" in dead.detail
    assert run_job(workers, "fine").failed is None


def test_a_surprise_in_a_worker_is_told_with_its_trace(workers: Workers) -> None:
    surprise = run_job(workers, "raise")
    assert surprise.failed is Reason.INTERNAL_ERROR
    assert "RuntimeError: surprise" in surprise.detail
    assert run_job(workers, "fine").failed is None


def test_a_cell_that_overstays_is_ended_with_what_it_started(tmp_path: Path) -> None:
    workers = Workers(ScriptedWork(tmp_path), job_name, count=1, limit=lambda _: 3.0)
    try:
        late = run_job(workers, "hang")
        assert late.failed is Reason.TIMED_OUT
        assert late.seconds >= 3.0
        pids = process_ids(tmp_path)
        until(lambda: all(gone(pid) for pid in pids))
        assert run_job(workers, "fine").failed is None
    finally:
        workers.kill()


def test_killing_ends_all_at_once(workers: Workers, tmp_path: Path) -> None:
    future = workers.submit(request("hang"), ignore)
    until((tmp_path / "pids").exists)
    workers.kill()
    ended = future.result(SECONDS).capture
    assert ended is not None
    assert ended.failed is Reason.INTERRUPTED
    pids = process_ids(tmp_path)
    until(lambda: all(gone(pid) for pid in pids))


class SlowEnd(ScriptedWork):
    """Takes a moment to end."""

    def abandon(self) -> None:
        time.sleep(1.0)
        super().abandon()


def test_a_cell_that_comes_while_all_are_killed_ends_too(tmp_path: Path) -> None:
    workers = Workers(SlowEnd(tmp_path), job_name, count=1, limit=lambda _: SECONDS)
    workers.submit(request("hang"), ignore)
    until((tmp_path / "pids").exists)
    killing = threading.Thread(target=workers.kill)
    killing.start()
    until(lambda: not workers._tasks.empty())  # the end of the worker is queued
    assert run_job(workers, "late").failed is Reason.INTERRUPTED
    killing.join()
    assert run_job(workers, "later").failed is Reason.INTERRUPTED


def test_a_full_disk_at_the_start_of_a_cell_is_its_reason(tmp_path: Path) -> None:
    def full(_request: CellRequest) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    workers = Workers(ScriptedWork(tmp_path), full, count=1, limit=lambda _: SECONDS)
    failed = run_job(workers, "one")
    assert (failed.failed, failed.key) == (Reason.DISK_FULL, "one")
    workers.kill()


_MAIN = """
import sys
from pathlib import Path
sys.path[:0] = {paths!r}
from helpers.worker_jobs import ScriptedWork, ignore, job_name, request
from matrix.runs.workers import Workers
if __name__ == "__main__":
    workers = Workers(ScriptedWork(Path(sys.argv[1])), job_name, count=1, limit=lambda _: 60)
    workers.submit(request("hang"), ignore).result()
"""


def test_kill_9_of_the_run_leaves_nothing_behind(tmp_path: Path) -> None:
    tests = project_root() / "tests"
    script = tmp_path / "run.py"
    script.write_text(_MAIN.format(paths=[str(tests), str(tests.parent)]))
    with subprocess.Popen([sys.executable, str(script), str(tmp_path)]) as run:
        until((tmp_path / "pids").exists)
        pids = process_ids(tmp_path)
        assert not any(gone(pid) for pid in pids)
        run.kill()
        run.wait()
        until(lambda: all(gone(pid) for pid in pids))
