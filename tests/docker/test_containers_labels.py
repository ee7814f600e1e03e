"""A run's lock shows whether it lives, and only where the lock can be checked with certainty."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.docker.labels import (
    OWNER,
    PROJECT,
    RUN,
    RunLife,
    find_run_life,
    list_living_runs,
    lock_run,
)
from matrix.errors import StorageError
from matrix.system.paths import project_root

LOCKED_RUN = """
import sys
from pathlib import Path
from matrix.docker.labels import lock_run
with lock_run(Path(sys.argv[1])) as run:
    print(run.id, run.owner, sep="\\n", flush=True)
    sys.stdin.read()
"""


def life_in_process(labels: dict[str, str]) -> RunLife:
    """Return the result of another process: locks are between processes."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(find_run_life, (labels,))


def test_a_run_lives_while_it_is_held_and_no_longer(tmp_path: Path) -> None:
    with lock_run(tmp_path / "runs") as run:
        assert run.labels[PROJECT] == "compat-matrix"
        assert life_in_process(run.labels) is RunLife.LIVING
        assert find_run_life(run.labels) is RunLife.LIVING
        assert list_living_runs(tmp_path / "runs") == (run.id,)
    assert find_run_life(run.labels) is RunLife.DEAD
    assert list_living_runs(tmp_path / "runs") == ()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["owner"]


@pytest.mark.skipif(os.name != "posix", reason="there is no kill -9 here")
def test_a_run_that_was_killed_is_dead(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCKED_RUN, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=project_root(),
    )
    with holder:
        assert holder.stdout is not None
        labels = {RUN: holder.stdout.readline().strip(), OWNER: holder.stdout.readline().strip()}
        assert find_run_life(labels) is RunLife.LIVING
        holder.kill()
        holder.wait()
    assert find_run_life(labels) is RunLife.DEAD
    assert find_run_life(labels) is RunLife.DEAD  # and stays so when its lock has been cleared away


def test_what_cannot_be_seen_from_here_is_not_called_dead(tmp_path: Path) -> None:
    with lock_run(tmp_path / "runs") as run:
        pass
    host, nonce, folder = run.owner.split(":", 2)
    elsewhere = {
        "another machine": f"another-{host}:{nonce}:{folder}",
        "another folder at the same path": f"{host}:{'0' * 16}:{folder}",
        "a folder that is gone": f"{host}:{nonce}:{tmp_path / 'gone'}",
        "no owner": "",
    }
    for name, owner in elsewhere.items():
        assert find_run_life({**run.labels, OWNER: owner}) is RunLife.UNKNOWN, name
    # An id that would lead out of the folder is invalid.
    assert find_run_life({**run.labels, RUN: "../../etc/x"}) is RunLife.UNKNOWN
    assert find_run_life({}) is RunLife.UNKNOWN


def test_runs_of_one_folder_have_one_owner(tmp_path: Path) -> None:
    with lock_run(tmp_path) as first, lock_run(tmp_path) as second:
        assert first.owner == second.owner
        assert first.id != second.id
        assert set(list_living_runs(tmp_path)) == {first.id, second.id}


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError), lock_run(tmp_path / "file" / "runs"):
        pass
