"""Hostile cells on this machine: they see and change nothing of it, and nothing of them is left."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pickle
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("elsewhere cells see what the user sees", allow_module_level=True)

from helpers.cell_jobs import DETECTION, LIMITS, fake_job, process_of, shown
from helpers.processes import processes_with, wait_until

from matrix.cells.job import CellJob
from matrix.cells.run import run_cell
from matrix.model.capture import CellCapture
from matrix.system.paths import project_root
from matrix.system.sandboxed import mechanism

PATIENT = dataclasses.replace(LIMITS, request=60, start=30)


@pytest.fixture(autouse=True)
def _needs_namespaces() -> None:
    if mechanism().name != "namespaces":
        pytest.skip(mechanism().text)


def hostile(folder: Path, mode: str, targets: list[str]) -> CellJob:
    job = fake_job(folder, mode, probes=(DETECTION,), limits=PATIENT)
    (job.apps / "targets.json").write_text(json.dumps(targets), "ascii")
    return job


def result(capture: CellCapture) -> Any:  # noqa: ANN401 - of the act
    (attack,) = (e for e in process_of(capture, "appsec").exchanges if e.stimulus == "scanner")
    assert attack.status == 200, attack.error
    return json.loads(attack.body)


def test_it_reads_nothing_of_the_user(tmp_path: Path) -> None:
    key = tmp_path / "results" / "key.pem"
    key.parent.mkdir()
    key.write_text("secret", "ascii")
    key.chmod(0o600)
    neighbour = tmp_path / "envs" / "other" / "module.py"
    neighbour.parent.mkdir(parents=True)
    neighbour.write_text("", "ascii")
    secret = [str(key), str(neighbour), str(tmp_path / "results"), str(Path.home() / ".ssh")]
    secret += [str(project_root() / "matrix"), "/etc/shadow", "/var/lib", "/run", "/proc/1/environ"]
    tried = result(run_cell(hostile(tmp_path, "read-secrets", [*secret, "/etc/passwd"])))
    assert tried.pop("/etc/passwd") == "done"
    assert set(tried.values()) <= {"FileNotFoundError", "PermissionError", "NotADirectoryError"}
    assert len(tried) == len(secret)


def test_it_changes_nothing_that_another_cell_runs(tmp_path: Path) -> None:
    job = hostile(tmp_path, "write-in-place", [])
    cached = tmp_path / "cached.py"
    cached.write_text("GOOD = True\n", "ascii")
    linked = job.apps / "linked.py"
    linked.hardlink_to(cached)
    linked.chmod(0o666)
    targets = [str(linked), str(job.fixtures / "identity.py"), os.__file__, "/etc/passwd"]
    (job.apps / "targets.json").write_text(json.dumps(targets), "ascii")
    tried = result(run_cell(job))
    assert len(tried) == len(targets)
    assert "done" not in tried.values(), tried


def test_nothing_that_it_started_outlives_it(tmp_path: Path) -> None:
    mark = f"mark-of-{tmp_path}"
    capture = run_cell(hostile(tmp_path, "stay-behind", [mark]))
    assert result(capture) == "started"
    assert not processes_with(mark)


def test_it_sees_no_process_and_reaches_no_socket_of_the_host(tmp_path: Path) -> None:
    name = f"@{tmp_path}"[:100]
    path = str(tmp_path / "s") if len(str(tmp_path)) < 90 else ""
    with contextlib.ExitStack() as stack:
        sockets = []
        for address in filter(None, (name.replace("@", "\0"), path)):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.bind(address)
            sock.listen()
            sockets.append(sock)
        seen = result(in_worker(hostile(tmp_path, "look-around", [f"unix {name}", f"unix {path}"])))
    # Its first process, itself, and another thread's at most.
    assert seen["processes"] <= 3
    assert seen["capabilities"] == ""
    assert seen["privileges"] == "1"
    assert seen["user"] != 0
    assert "done" not in seen["tried"].values(), seen["tried"]
    assert set(seen["root"]) <= {
        *("bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "nix", "proc", "sbin", "sys"),
        *("tmp", "usr", Path(sys.prefix).parts[1], tmp_path.parts[1]),
        *(Path(os.path.realpath(sys.executable)).parts[1], project_root().parts[1]),
    }
    assert "null" in seen["devices"]
    assert not {"kmsg", "mem", "sda", "vda", "kvm", "fuse"} & set(seen["devices"])


def in_worker(job: CellJob) -> CellCapture:
    """Run a cell as a worker does, which has left the network."""
    script = (
        "import json, pickle, sys; sys.path[:0] = sys.argv[1:3]\n"
        "from matrix.cells.run import prepare_worker, run_cell\n"
        "prepare_worker()\n"
        "print(json.dumps(run_cell(pickle.load(sys.stdin.buffer)).to_json()))\n"
    )
    command = [sys.executable, "-c", script, str(project_root()), str(project_root() / "tests")]
    done = subprocess.run(command, input=pickle.dumps(job), stdout=subprocess.PIPE, check=True)
    return CellCapture.from_json(json.loads(done.stdout))


def test_it_takes_no_more_than_its_share(tmp_path: Path) -> None:
    tried = result(run_cell(hostile(tmp_path, "take-all", [])))
    assert tried == {
        "take_memory": "MemoryError",
        "fill_file": "OSError",
        "fork_on": "BlockingIOError",
    }


def test_it_fills_no_disk_and_leaves_nothing_in_its_folder(tmp_path: Path) -> None:
    job = hostile(tmp_path, "fill-scratch", [])
    filled = result(run_cell(job))
    assert filled["written"] <= 256 << 20
    assert filled["beside"] in {"FileNotFoundError", "OSError", "PermissionError"}
    assert job.scratch is not None
    assert [*job.scratch.iterdir()] == []


def test_a_good_cell_shows_the_same_and_says_how_it_was_isolated(tmp_path: Path) -> None:
    capture = in_worker(fake_job(tmp_path, "good"))
    assert shown(capture, "appsec") == [True]
    assert shown(capture, "off", control=True) == [False]
    assert "mount, PID and IPC namespaces" in capture.isolation
    assert capture.not_isolated == ()


def test_what_is_not_isolated_is_named(tmp_path: Path) -> None:
    capture = run_cell(fake_job(tmp_path, "good"))  # in this process, which is on the network
    assert not capture.isolated
    assert capture.not_isolated == ("network",)


def test_it_makes_its_worker_take_no_more_than_its_share(tmp_path: Path) -> None:
    job = hostile(tmp_path, "send-without-end", [])
    limits = dataclasses.replace(PATIENT, agent_bytes=1_000_000)
    capture = in_worker(dataclasses.replace(job, limits=limits))
    attacks = process_of(capture, "appsec").exchanges
    assert str([200] * 9) in [item.body for item in attacks if item.stimulus == "scanner"]
    assert len(json.dumps(capture.to_json())) < 3_000_000
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from matrix.cells.run import prepare_worker\n"
        "prepare_worker()\n"
        "bytearray(5 << 30)\n"
    )
    command = [sys.executable, "-c", script, str(project_root())]
    done = subprocess.run(command, capture_output=True, check=False)
    assert b"MemoryError" in done.stderr


def test_when_the_process_that_runs_it_is_killed_nothing_is_left(tmp_path: Path) -> None:
    mark = f"mark-of-{tmp_path}"
    job = hostile(tmp_path, "stay-behind", [mark, "and hang"])
    (tmp_path / "job").write_bytes(pickle.dumps(job))
    script = (
        "import pickle, sys; sys.path[:0] = sys.argv[1:3]\n"
        "from matrix.cells.run import run_cell\n"
        "run_cell(pickle.load(open(sys.argv[3], 'rb')))\n"
    )
    arguments = [str(project_root()), str(project_root() / "tests"), str(tmp_path / "job")]
    with subprocess.Popen([sys.executable, "-c", script, *arguments]) as worker:
        assert wait_until(lambda: processes_with(mark), 30)
        worker.kill()
    assert wait_until(lambda: not processes_with(mark), 5)
