"""Real cells on a real Dask cluster: a scheduler and workers here, some of which are killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.dask_cluster import SECONDS, DaskCluster, Worker, environment, until
from helpers.processes import gone

from matrix.interpreters.discovery import find_interpreters
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.cells,
    pytest.mark.index,
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]
# Quick cells without a soak, whose verdict rests on ten of them.
SELECTED = ("--framework", "bottle*")


def command(results: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        (
            *(sys.executable, "-m", "matrix", "verify", *SELECTED, *arguments),
            *("--json", str(results / "verdicts.json")),
        ),
        cwd=project_root(),
        env=environment(COMPAT_MATRIX_RESULTS=str(results)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(running: subprocess.Popen[str], code: int = 1) -> str:
    said, _ = running.communicate(timeout=4 * SECONDS)
    assert running.returncode == code, said
    return said


def told(results: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((results / "verdicts.json").read_text(encoding="utf-8"))
    return found


def answers(results: Path) -> dict[str, tuple[str, str]]:
    return {each["claim"]: (each["outcome"], each["reason"]) for each in told(results)["verdicts"]}


def ends(results: Path) -> dict[str, str]:
    return {each["id"]: each["outcome"] for each in told(results)["cells"]}


def journalled(results: Path) -> Counter[str]:
    lines = (results / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line)["cell"] for line in lines)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a run on this machine."""
    missing = {"2.7", "3.7", "3.9", "3.11", "3.13"} - {x.python for x in find_interpreters()}
    if missing:
        pytest.skip(f"no CPython {', '.join(sorted(missing))} here")
    results = tmp_path_factory.mktemp("here")
    ended(command(results, "--engine", "local"))
    return results


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with contextlib.closing(DaskCluster(tmp_path, workers=2)) as made:
        yield made


def same(here: Path, there: Path) -> None:
    assert answers(there) == answers(here)
    assert ends(there) == ends(here)
    assert journalled(there) == dict.fromkeys(ends(here), 1)


def test_a_cluster_says_what_this_machine_says_and_runs_nothing_again(
    here: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    address = cluster.scheduler.address
    said = ended(command(tmp_path, "--cluster", address))
    assert "2 at a time on 2 workers of a cluster: linux/amd64 (2)" in said
    same(here, tmp_path)
    assert "0 run, 10 reused" in ended(command(tmp_path, "--cluster", address))
    # What was made on a cluster also answers a run on this machine.
    assert "0 run, 10 reused" in ended(command(tmp_path, "--engine", "local"))
    for worker in cluster.workers:
        assert worker.ask_to_leave() == 0
        assert not worker.children()
    said = ended(command(tmp_path, "--cluster", address), code=12)
    assert f"python -m matrix worker {address}" in said


def test_a_worker_that_is_killed_in_the_middle_of_a_cell(
    here: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    victim = cluster.workers[0]
    until(victim.runs_a_cell, "no cell began")
    below = victim.kill()
    assert below
    until(lambda: all(map(gone, below)), "its processes live on")
    ended(running)
    same(here, tmp_path)


def test_a_worker_that_is_asked_to_leave_ends_its_cell_first(
    here: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    leaving = cluster.workers[0]
    until(leaving.runs_a_cell, "no cell began")
    assert leaving.ask_to_leave() == 0
    ended(running)
    same(here, tmp_path)


def test_a_scheduler_that_is_killed_and_started_again(
    here: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    until(lambda: all(worker.runs_a_cell() for worker in cluster.workers), "no cells began")
    cluster.scheduler.kill()
    for worker in cluster.workers:
        worker.said.wait("the scheduler has gone")
    cluster.scheduler.start()
    said = ended(running)
    assert "the cluster's scheduler is back" in said
    same(here, tmp_path)


def test_workers_may_come_and_go(here: Path, cluster: DaskCluster, tmp_path: Path) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    until(lambda: all(worker.runs_a_cell() for worker in cluster.workers), "no cells began")
    for worker in cluster.workers:
        worker.kill()
    cluster.workers.append(Worker(cluster.scheduler.address, "--jobs", "2"))
    ended(running)
    same(here, tmp_path)


def test_ctrl_c_ends_the_cells_on_the_workers(cluster: DaskCluster, tmp_path: Path) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    until(lambda: all(worker.runs_a_cell() for worker in cluster.workers), "no cells began")
    running.send_signal(signal.SIGINT)
    ended(running, code=130)
    started = time.monotonic()
    until(lambda: not any(worker.runs_a_cell() for worker in cluster.workers), "cells go on")
    assert time.monotonic() - started < 10
    # They are as good as new.
    ended(command(tmp_path, "--cluster", cluster.scheduler.address))


def test_no_scheduler() -> None:
    for arguments in (("verify", "--cluster"), ("worker",)):
        done = subprocess.run(
            (sys.executable, "-m", "matrix", *arguments, "tcp://127.0.0.1:1"),
            cwd=project_root(),
            env={**environment(), "PYTHONWARNINGS": "error::ResourceWarning"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 12, done.stderr
        assert "error: no Dask scheduler" in done.stderr
        assert "Traceback" not in done.stderr
        assert os.linesep * 3 not in done.stderr
