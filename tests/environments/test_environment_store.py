"""The store: environments are built once, completely, and compared with their requirements."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import errno
import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest
from helpers.environment_fakes import (
    DDTRACE,
    INTERPRETER,
    LOCK,
    REQUIREMENTS,
    FakeInstaller,
    store_with,
)

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.model.reason import Reason


def failure(reason: Reason, times: int = 100) -> FakeInstaller:
    remaining = iter(range(times))

    def fail() -> None:
        if next(remaining, None) is not None:
            raise BuildError(reason, "it did not work")

    return FakeInstaller(on_resolve=fail)


def test_an_environment_is_built_once_and_looked_up_from_then_on(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    assert store.peek(INTERPRETER, REQUIREMENTS) is None
    environment = store.ensure(INTERPRETER, REQUIREMENTS)
    assert environment.python.exists()
    assert environment.lock == tuple(str(locked) for locked in LOCK)
    assert store.ensure(INTERPRETER, REQUIREMENTS) == environment
    assert store_with(tmp_path, installer).peek(INTERPRETER, REQUIREMENTS) == environment
    assert (installer.resolved, installer.built) == (1, 1)


def test_requirements_that_come_to_the_same_lock_share_one_environment(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    first = store.ensure(INTERPRETER, REQUIREMENTS)
    second = store.ensure(INTERPRETER, dataclasses.replace(REQUIREMENTS, also=()))
    assert first == second
    assert (installer.resolved, installer.built) == (2, 1)


def test_another_build_of_the_interpreter_is_another_environment(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    first = store.ensure(INTERPRETER, REQUIREMENTS)
    rebuilt = dataclasses.replace(INTERPRETER, build="3.9.18 (main) [Clang]")
    assert store.peek(rebuilt, REQUIREMENTS) is None
    assert store.ensure(rebuilt, REQUIREMENTS).key != first.key


def test_threads_that_need_one_environment_build_it_once(tmp_path: Path) -> None:
    both = threading.Barrier(2)
    # Two stores, as two processes would have: only the lock file is between them.
    installer = FakeInstaller(on_build=lambda _: time.sleep(0.05))
    stores = [store_with(tmp_path, installer) for _ in range(2)]

    def make(number: int) -> str:
        both.wait()
        return stores[number].ensure(INTERPRETER, REQUIREMENTS).key

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        keys = set(pool.map(make, range(2)))
    assert len(keys) == 1
    assert (installer.resolved, installer.built) == (1, 1)


def test_what_a_killed_run_left_is_neither_used_nor_kept(tmp_path: Path) -> None:
    def die(_: Path) -> None:
        raise KeyboardInterrupt

    store = store_with(tmp_path, FakeInstaller())
    finished = store.ensure(INTERPRETER, REQUIREMENTS)
    folder = store.root / "envs" / finished.key
    half = folder.with_name(f".part-{finished.key}")
    other = folder.with_name(".part-of-another")
    shutil.copytree(folder, half)
    other.mkdir()
    shutil.rmtree(folder)

    again = store_with(tmp_path, FakeInstaller(on_build=die))
    assert again.peek(INTERPRETER, REQUIREMENTS) is None
    with pytest.raises(KeyboardInterrupt):
        again.ensure(INTERPRETER, REQUIREMENTS)
    assert sorted((store.root / "envs").iterdir()) == []

    assert store_with(tmp_path, FakeInstaller()).ensure(INTERPRETER, REQUIREMENTS) == finished


def test_what_another_run_is_building_is_left_alone(tmp_path: Path) -> None:
    store = store_with(tmp_path, FakeInstaller())
    half = store.root / "envs" / ".part-of-another"
    half.mkdir(parents=True)
    with store._tools.guard("env-of-another"):
        store.ensure(INTERPRETER, REQUIREMENTS)
        assert half.exists()
    store_with(tmp_path, FakeInstaller()).ensure(
        dataclasses.replace(INTERPRETER, build="another"), REQUIREMENTS
    )
    assert not half.exists()


def test_scratch_folders_of_killed_runs_go_and_those_of_others_stay(tmp_path: Path) -> None:
    store = store_with(tmp_path, FakeInstaller())
    old, new = store.root / "scratch" / "old", store.root / "scratch" / "new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    store.ensure(INTERPRETER, REQUIREMENTS)
    assert [folder.exists() for folder in (old, new)] == [False, True]


def test_a_folder_that_lost_its_python_is_built_again(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    store.ensure(INTERPRETER, REQUIREMENTS).python.unlink()
    assert store.peek(INTERPRETER, REQUIREMENTS) is None
    assert store.ensure(INTERPRETER, REQUIREMENTS).python.exists()
    assert installer.built == 2


@pytest.mark.parametrize(
    ("installed", "detail"),
    [
        ((DDTRACE,), "flask is missing"),
        ((DDTRACE, LockedFile("flask", "2.2.4", ())), "flask is 2.2.4, but the lock has 2.2.3"),
        ((*LOCK, LockedFile("extra", "1", ())), "extra 1 is not in the lock"),
    ],
)
def test_a_wrong_install_is_detected(
    tmp_path: Path, installed: tuple[LockedFile, ...], detail: str
) -> None:
    store = store_with(tmp_path, FakeInstaller(installed=installed))
    with pytest.raises(BuildError, match=detail) as caught:
        store.ensure(INTERPRETER, REQUIREMENTS)
    assert caught.value.reason is Reason.WRONG_INSTALL
    assert store.peek(INTERPRETER, REQUIREMENTS) is None


def test_a_lock_that_is_not_what_was_pinned_is_a_wrong_install(tmp_path: Path) -> None:
    lock = (DDTRACE, LockedFile("flask", "2.2.4", ("c" * 64,)))
    store = store_with(tmp_path, FakeInstaller(lock=lock, installed=lock))
    with pytest.raises(BuildError, match=r"flask is 2\.2\.4, but 2\.2\.3 is required"):
        store.ensure(INTERPRETER, REQUIREMENTS)


def test_versions_are_compared_as_versions(tmp_path: Path) -> None:
    lock = (LockedFile("ddtrace", "1.9", ("a" * 64,)), LOCK[1])
    store = store_with(tmp_path, FakeInstaller(lock=lock, installed=LOCK))
    assert store.ensure(INTERPRETER, REQUIREMENTS).key


def test_a_failure_that_would_come_again_is_remembered(tmp_path: Path) -> None:
    installer = failure(Reason.NO_WHEEL)
    store = store_with(tmp_path, installer)
    for _ in range(3):
        with pytest.raises(BuildError) as caught:
            store.ensure(INTERPRETER, REQUIREMENTS)
        assert caught.value.reason is Reason.NO_WHEEL
    assert installer.resolved == 1


def test_an_index_that_was_away_for_a_moment_costs_no_cell(tmp_path: Path) -> None:
    installer = failure(Reason.INDEX_UNAVAILABLE, times=2)
    assert store_with(tmp_path, installer).ensure(INTERPRETER, REQUIREMENTS).key
    assert installer.resolved == 3


def test_an_index_that_is_down_is_not_waited_for_by_every_cell(tmp_path: Path) -> None:
    installer = failure(Reason.INDEX_UNAVAILABLE)
    store = store_with(tmp_path, installer)
    tries = []
    for _ in range(3):
        with pytest.raises(BuildError) as caught:
            store.ensure(INTERPRETER, REQUIREMENTS)
        assert caught.value.reason is Reason.INDEX_UNAVAILABLE
        tries.append(installer.resolved)
    assert tries == [3, 4, 5]


def test_other_failures_are_not_tried_again(tmp_path: Path) -> None:
    installer = failure(Reason.BUILD_FAILED, times=1)
    with pytest.raises(BuildError):
        store_with(tmp_path, installer).ensure(INTERPRETER, REQUIREMENTS)
    assert installer.resolved == 1


def test_a_disk_that_is_nearly_full_is_not_filled(tmp_path: Path) -> None:
    installer = FakeInstaller()
    with pytest.raises(BuildError, match="MB are free") as caught:
        store_with(tmp_path, installer, free=2**20).ensure(INTERPRETER, REQUIREMENTS)
    assert caught.value.reason is Reason.DISK_FULL
    assert installer.resolved == 0


def test_a_disk_that_gets_full_while_building_leaves_nothing_behind(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    store = store_with(tmp_path, FakeInstaller(on_build=fill))
    with pytest.raises(BuildError) as caught:
        store.ensure(INTERPRETER, REQUIREMENTS)
    assert caught.value.reason is Reason.DISK_FULL
    assert list((store.root / "envs").iterdir()) == []


def test_a_torn_lock_file_is_resolved_again(tmp_path: Path) -> None:
    installer = FakeInstaller()
    store = store_with(tmp_path, installer)
    store.ensure(INTERPRETER, REQUIREMENTS)
    (file,) = (store.root / "locks").glob("*.json")
    assert json.loads(file.read_text())["as_of"] == "2023-03-01"
    file.write_text(file.read_text()[:40])
    store.ensure(INTERPRETER, REQUIREMENTS)
    assert (installer.resolved, installer.built) == (2, 1)
