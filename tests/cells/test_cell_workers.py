"""A worker leaves nothing behind, however the run that started it ends."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cell_jobs import TRACING, fake_job
from helpers.processes import processes_with, wait_until

from matrix.system.paths import project_root

RUN = """
import pickle, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from matrix.runs.environments import CellWork
from matrix.runs.interface import CellRequest
from matrix.runs.workers import Workers
if __name__ == "__main__":
    job = pickle.loads(Path(sys.argv[1]).read_bytes())
    workers = Workers(CellWork(), lambda *_: job, count=1, limit=lambda _: 60)
    request = CellRequest(0, job.planned, None, "key")
    capture = workers.submit(request, print).result().capture
    print(capture.isolation or capture.detail)
    workers.close()
"""


def run(folder: Path, mode: str) -> subprocess.Popen[str]:
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


def test_a_worker_reports_the_isolation_of_a_cell(tmp_path: Path) -> None:
    with run(tmp_path, "good") as process:
        output = process.communicate(timeout=60)[0]
    assert "network" in output


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_when_the_run_is_killed_its_apps_die_with_it(tmp_path: Path) -> None:
    with run(tmp_path, "never-ready") as process:
        scratch = str(tmp_path / "scratch")
        assert wait_until(lambda: any("serve.py" in line for line in processes_with(scratch)), 30)
        process.kill()
        process.wait()
        assert wait_until(lambda: not processes_with(scratch))
