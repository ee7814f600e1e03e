"""`plan --write-locks` and `--write-releases`: committed facts, and their use."""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path

import pytest
from helpers.environment_fakes import FakeIndex, FakeInstaller
from helpers.offline_index import offline
from helpers.planning_fixture import project

from matrix.__main__ import main
from matrix.cli import kept_plans, plan_facts
from matrix.cli.options import plan_from_args
from matrix.environments.committed_locks import LOCKS, CommittedLocks, TargetLocks
from matrix.environments.errors import BuildError
from matrix.environments.store import EnvironmentStore
from matrix.errors import ExitCode
from matrix.model.environment import Interpreter
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.planning.locations import Targets
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex
from matrix.pypi.snapshot import load_snapshot

__all__ = ["offline"]


PAGE = """\
---
title: Python Compatibility Requirements
---
## ASM capabilities support

| ASM capability   | Minimum Python tracer version |
| ---------------- | ----------------------------- |
| Threat Detection | 1.9.0                         |
"""


class World:
    """The interpreters of a machine, an installer, and the folder of the committed locks."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.installer = FakeInstaller()
        self.pythons = ["2.7.18", "3.9.18", "3.11.7"]

    def interpreters(self) -> tuple[Interpreter, ...]:
        return tuple(
            Interpreter(Path("python"), version, "build", "linux_x86_64", "glibc 2.36", "path")
            for version in self.pythons
        )

    def store(self, cache: Path, *, offline: bool, anew: bool) -> EnvironmentStore:
        return EnvironmentStore(
            cache,
            offline=offline,
            anew=anew,
            installer=lambda _: self.installer,
            index=FakeIndex({}),
            committed=CommittedLocks(self.folder),
        )

    def locks(self) -> TargetLocks:
        locks, _ = CommittedLocks(self.folder).read("linux_x86_64", [])
        assert locks is not None
        return locks


@pytest.fixture
def world(offline: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a machine whose stores, interpreters and committed locks are fakes."""
    made = World(offline / "facts")
    monkeypatch.setattr(plan_facts, "find_interpreters", made.interpreters)
    monkeypatch.setattr(plan_facts, "EnvironmentStore", made.store)
    monkeypatch.setattr(plan_facts, "host_target", lambda: "linux_x86_64")
    return made


def write() -> int:
    return main(["plan", "--write-locks", "--offline"])


def test_all_planned_environments_of_past_days_get_a_lock(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert write() == ExitCode.OK
    written = world.locks()
    assert {lock.python for lock in written.locks} == set(world.pythons)
    assert len(written.locks) == world.installer.resolved
    assert written.snapshot == dt.datetime.now(tz=dt.timezone.utc).date()
    assert f"{len(written.locks)} locks (0 kept, " in capsys.readouterr().out


def test_committed_locks_stay_and_nothing_is_resolved_for_them(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    write()
    resolved, content = world.installer.resolved, (world.folder / "linux_x86_64.json").read_bytes()
    # Neither another patch release nor a CPython that is gone changes anything.
    world.pythons = ["3.9.2"]
    assert write() == ExitCode.OK
    assert world.installer.resolved == resolved
    assert (world.folder / "linux_x86_64.json").read_bytes() == content
    assert capsys.readouterr().out.rstrip().endswith("unchanged")


def test_the_cells_without_a_lock_are_told_with_the_reason(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--locks", "--offline"]) == ExitCode.OK
    *_, count, reason = capsys.readouterr().out.splitlines()
    cells = int(reason.split()[0])
    assert count == f"0 of {cells} cells have a committed lock"
    assert reason == f"{cells} have none: there are no locks for linux_x86_64"
    world.pythons.remove("3.9.18")
    write()
    capsys.readouterr()
    world.pythons.remove("2.7.18")  # its locks stay
    assert main(["plan", "--locks", "--offline"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    without = [line for line in lines if line.startswith("cp")]
    assert 0 < len(without) < cells
    assert f"{cells - len(without)} of {cells} cells have a committed lock" in lines
    of_39 = [line for line in without if line.startswith("cp39-")]
    assert of_39
    for line in of_39:
        assert line.endswith("  CPython 3.9 is not on this machine, which resolves")
    assert not any(line.startswith(("cp27-", "cp311-")) for line in without)
    assert main(["plan", "--locks", "--offline", "--as-of", "2024-01-31"]) == ExitCode.OK
    assert "--write-locks resolves it" in capsys.readouterr().out


def test_refresh_resolves_the_committed_ones_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    resolved = world.installer.resolved
    world.pythons = ["3.9.2", "3.11.7"]

    def plan_offline(args: argparse.Namespace, targets: Targets) -> Plan:
        return plan_from_args(
            argparse.Namespace(**{**vars(args), "refresh": False, "offline": True}), targets
        )

    monkeypatch.setattr(plan_facts, "plan_from_args", plan_offline)
    assert main(["plan", "--write-locks", "--refresh"]) == ExitCode.OK
    locks = world.locks().locks
    # Those of the CPython that is gone stay.
    assert {lock.python for lock in locks} == {"2.7.18", "3.9.2", "3.11.7"}
    again = [lock for lock in locks if lock.python != "2.7.18"]
    assert world.installer.resolved == resolved + len(again)


def test_what_cannot_be_resolved_has_no_lock_and_is_named(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        if world.installer.resolved == 1:
            raise BuildError(Reason.BUILD_FAILED, "no compiler")

    world.installer.on_resolve = fail
    assert write() == ExitCode.OK
    out, err = capsys.readouterr()
    assert "1 that cannot be resolved" in out
    assert "no compiler" in err
    assert len(world.locks().locks) == world.installer.resolved - 1


def test_an_index_that_does_not_answer_is_told_before_anything_is_resolved(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    assert main(["plan", "--write-locks"]) == ExitCode.INDEX_UNAVAILABLE
    assert world.installer.resolved == 0


@pytest.mark.parametrize(
    "others",
    [
        ["page.md"],
        ["--profile", "smoke"],
        ["--as-of", "2024-01-01"],
        ["--python", "3.9"],
        ["--github"],
    ],
)
def test_the_locks_are_of_the_whole_documented_profile_only(
    others: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = [path.read_bytes() for path in LOCKS.iterdir()]
    assert main(["plan", "--write-locks", "--offline", *others]) == ExitCode.USAGE
    assert "--write-locks" in capsys.readouterr().err
    assert [path.read_bytes() for path in LOCKS.iterdir()] == before


def test_a_plan_by_the_committed_snapshot_needs_no_index_and_says_its_date(
    offline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(plan_facts, "SNAPSHOT", offline / "releases.json")
    monkeypatch.setattr(kept_plans, "SNAPSHOT", offline / "releases.json")
    assert main(["plan", "--offline", "--json", "-"]) == ExitCode.OK
    by_index = capsys.readouterr().out
    assert main(["plan", "--write-releases", "--offline"]) == ExitCode.OK
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(offline / "empty"))
    capsys.readouterr()
    assert main(["plan", "--offline", "--json", "-"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out == by_index
    assert "2024-12-31 23:00 UTC, by the committed snapshot" in err


@pytest.mark.parametrize("arguments", [["--as-of", "2024-12-31"], ["page.md"]])
def test_what_the_snapshot_is_not_of_is_read_from_the_index(
    offline: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(plan_facts, "SNAPSHOT", offline / "releases.json")
    monkeypatch.setattr(kept_plans, "SNAPSHOT", offline / "releases.json")
    assert main(["plan", "--write-releases", "--offline"]) == ExitCode.OK
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(offline / "empty"))
    monkeypatch.chdir(offline)
    (offline / "page.md").write_text(PAGE)
    assert main(["plan", "--offline", "--as-of", "2024-12-30"]) == ExitCode.OK
    assert main(["plan", "--offline", *arguments]) == ExitCode.INDEX_UNAVAILABLE
    assert "'ddtrace'" in capsys.readouterr().err


def test_a_damaged_snapshot_is_named_and_the_index_is_read(
    offline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = offline / "releases.json"
    damaged.write_text('{"sha256":"0", "format":"releases/1"}')
    monkeypatch.setattr(kept_plans, "SNAPSHOT", damaged)
    assert main(["plan", "--offline", "--cells"]) == ExitCode.OK
    assert f"{damaged} is damaged" in capsys.readouterr().err


def test_a_snapshot_loses_no_project_that_the_index_does_not_answer_for(
    offline: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshot = offline / "releases.json"
    monkeypatch.setattr(plan_facts, "SNAPSHOT", snapshot)
    # The small index has few projects of the committed facts: what it never had is left out.
    cached = CachedIndex(offline / "cache").path("redis")
    cached.write_text(dump_project(project("redis", {"4.6.0": ("2023-06-25", ">=3.7")})))
    assert main(["plan", "--write-releases", "--offline"]) == ExitCode.OK
    before = snapshot.read_bytes()
    assert set(load_snapshot(before).projects) == {"ddtrace", "django", "flask", "redis"}
    cached.unlink()
    assert main(["plan", "--write-releases", "--offline"]) == ExitCode.INDEX_UNAVAILABLE
    assert "'redis'" in capsys.readouterr().err
    assert snapshot.read_bytes() == before
