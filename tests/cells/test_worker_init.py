"""A worker leaves nothing behind, however the run that started it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.cell_jobs import TRACING, fake_job
from helpers.processes import gone

from matrix.system.paths import project_root

RUN = """
import pickle, sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from matrix.cells.run import run_cell
from matrix.cells.worker_init import worker_initializer
if __name__ == "__main__":
    job = pickle.loads(Path(sys.argv[1]).read_bytes())
    pool = ProcessPoolExecutor(1, get_context("spawn"), worker_initializer)
    print(pool.submit(run_cell, job).result().isolation)
"""


def until(seconds: float, condition: object) -> bool:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def run(folder: Path, mode: str) -> subprocess.Popen[str]:
    import pickle  # noqa: PLC0415

    tests = project_root() / "tests"
    (folder / "job").write_bytes(pickle.dumps(fake_job(folder, mode, probes=(TRACING,))))
    (folder / "run.py").write_text(RUN, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(folder / "run.py"), str(folder / "job"), str(tests)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tests.parent)},
        start_new_session=True,
    )


def test_a_job_goes_to_a_worker_that_says_how_it_is_isolated(tmp_path: Path) -> None:
    with run(tmp_path, "good") as process:
        told = process.communicate(timeout=60)[0]
    assert "network" in told


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_when_the_run_is_killed_its_apps_die_with_it(tmp_path: Path) -> None:
    with run(tmp_path, "never-ready") as process:
        pid_file = tmp_path / "scratch" / "pid"
        assert until(30, lambda: pid_file.exists() and pid_file.read_text("ascii"))
        app = int(pid_file.read_text("ascii"))
        assert not gone(app)
        process.kill()
        process.wait()
        assert until(10, lambda: gone(app))
