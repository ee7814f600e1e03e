"""Real cells on a real Dask cluster on this machine, some of whose processes are killed."""

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


def output_of(running: subprocess.Popen[str], code: int = 1) -> str:
    output, _ = running.communicate(timeout=4 * SECONDS)
    assert running.returncode == code, output
    return output


def verdicts_json(results: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((results / "verdicts.json").read_text(encoding="utf-8"))
    return data


def outcomes(results: Path) -> dict[str, tuple[str, str]]:
    verdicts = verdicts_json(results)["verdicts"]
    return {verdict["claim"]: (verdict["outcome"], verdict["reason"]) for verdict in verdicts}


def cell_outcomes(results: Path) -> dict[str, str]:
    return {cell["id"]: cell["outcome"] for cell in verdicts_json(results)["cells"]}


def journalled(results: Path) -> Counter[str]:
    lines = (results / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    return Counter(json.loads(line)["cell"] for line in lines)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a run on this machine."""
    missing = {"2.7", "3.7", "3.9", "3.11", "3.13"} - {
        found.python for found in find_interpreters()
    }
    if missing:
        pytest.skip(f"no CPython {', '.join(sorted(missing))} here")
    results = tmp_path_factory.mktemp("local")
    output_of(command(results, "--engine", "local"))
    return results


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with contextlib.closing(DaskCluster(tmp_path, workers=2)) as cluster:
        yield cluster


def assert_same(local: Path, cluster: Path) -> None:
    assert outcomes(cluster) == outcomes(local)
    assert cell_outcomes(cluster) == cell_outcomes(local)
    assert journalled(cluster) == dict.fromkeys(cell_outcomes(local), 1)


def test_a_cluster_has_the_results_of_this_machine_and_reuses_them(
    local: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    address = cluster.scheduler.address
    output = output_of(command(tmp_path, "--cluster", address))
    assert "2 at a time on 2 workers of a cluster: linux/amd64 (2)" in output
    assert_same(local, tmp_path)
    all_of_them = f"0 run, {len(list((tmp_path / 'captures').iterdir()))} reused"
    assert all_of_them in output_of(command(tmp_path, "--cluster", address))
    # Results of a cluster are also reused by a run on this machine.
    assert all_of_them in output_of(command(tmp_path, "--engine", "local"))
    for worker in cluster.workers:
        assert worker.leave() == 0
        assert not worker.children()
    output = output_of(command(tmp_path, "--cluster", address), code=12)
    assert f"python -m matrix worker {address}" in output


def test_a_worker_that_is_killed_in_the_middle_of_a_cell(
    local: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    victim = cluster.workers[0]
    until(victim.runs_a_cell, "no cell started")
    below = victim.kill()
    assert below
    until(lambda: all(map(gone, below)), "its processes still run")
    output_of(running)
    assert_same(local, tmp_path)


def test_a_worker_that_is_asked_to_leave_ends_its_cell_first(
    local: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    leaving = cluster.workers[0]
    until(leaving.runs_a_cell, "no cell started")
    assert leaving.leave() == 0
    output_of(running)
    assert_same(local, tmp_path)


def test_a_scheduler_that_is_killed_and_started_again(
    local: Path, cluster: DaskCluster, tmp_path: Path
) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    until(lambda: all(worker.runs_a_cell() for worker in cluster.workers), "no cells started")
    cluster.scheduler.kill()
    for worker in cluster.workers:
        worker.output.wait("lost the scheduler")
    cluster.scheduler.start()
    output = output_of(running)
    assert "the cluster's scheduler is back" in output
    assert_same(local, tmp_path)


def test_workers_may_come_and_go(local: Path, cluster: DaskCluster, tmp_path: Path) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    until(lambda: all(worker.runs_a_cell() for worker in cluster.workers), "no cells started")
    for worker in cluster.workers:
        worker.kill()
    cluster.workers.append(Worker(cluster.scheduler.address, "--jobs", "2"))
    output_of(running)
    assert_same(local, tmp_path)


def test_ctrl_c_ends_the_cells_on_the_workers(cluster: DaskCluster, tmp_path: Path) -> None:
    running = command(tmp_path, "--cluster", cluster.scheduler.address)
    until(lambda: all(worker.runs_a_cell() for worker in cluster.workers), "no cells started")
    running.send_signal(signal.SIGINT)
    output_of(running, code=130)
    started = time.monotonic()
    until(lambda: not any(worker.runs_a_cell() for worker in cluster.workers), "cells still run")
    assert time.monotonic() - started < 10
    # The workers can be used again.
    output_of(command(tmp_path, "--cluster", cluster.scheduler.address))


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
