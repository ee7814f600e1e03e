"""Kept plans: equal files and options have one, and it is the plan that would be made."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from pathlib import Path

import pytest
from helpers.planning_fixture import page, planned, world

from matrix.cli import kept_plans
from matrix.cli.kept_plans import (
    FILES,
    KeptPlans,
    PlanOptions,
    plan_by_snapshot,
    plan_sources,
    plan_sources_in,
)
from matrix.model.plan import Plan, StaticEvidence
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.planning.existence import Unsatisfiable
from matrix.planning.planner import make_plan
from matrix.pypi.client import Index
from matrix.pypi.snapshot import dump_snapshot
from matrix.system.paths import project_root

OPTIONS = PlanOptions("documented", None, ("linux_x86_64",), {}, (), static=True)
SNAPSHOT_DAY = dt.date(2024, 12, 31)


class Planner:
    """Makes a plan of a small page, and counts how often it is asked to."""

    def __init__(self, other: str = "") -> None:
        self.made = 0
        self.other = other

    def __call__(self, index: Index) -> Plan:
        self.made += 1
        if self.other:
            index.project(self.other)
        coverage = load_coverage(integrations={})
        plan = make_plan(page(), index, targets=("linux_x86_64",), coverage=coverage)
        evidence = StaticEvidence(plan.claims[0].id, refutes=False, evidence="it is so")
        return dataclasses.replace(plan, static=(evidence,))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeptPlans:
    """Return a cache without plans, beside a snapshot of the small index."""
    snapshot = tmp_path / "releases.json"
    monkeypatch.setattr(kept_plans, "SNAPSHOT", snapshot)
    snapshot.write_text(dump_snapshot(world().projects.values()))
    return KeptPlans(tmp_path / "cache")


def ask(kept: KeptPlans, make: Planner, options: PlanOptions = OPTIONS) -> Plan | None:
    return plan_by_snapshot(options, world(), make, kept)


def test_a_second_plan_is_the_first_one(
    kept: KeptPlans, capsys: pytest.CaptureFixture[str]
) -> None:
    make = Planner()
    first = ask(kept, make)
    notes = capsys.readouterr().err
    assert first is not None
    assert len(first.parts) > 10
    assert "2024-12-31 23:00 UTC, by the committed snapshot" in notes
    assert ask(kept, make) == first
    assert capsys.readouterr().err == notes
    assert make.made == 1


@pytest.mark.parametrize(
    "others",
    [
        dataclasses.replace(OPTIONS, profile="smoke"),
        dataclasses.replace(OPTIONS, as_of=dt.date(2024, 1, 31)),
        dataclasses.replace(OPTIONS, targets=("linux_x86_64", "linux_i686")),
        dataclasses.replace(
            OPTIONS, obstacles={"win32": Unsatisfiable(Reason.PLATFORM_NOT_HERE, "no engine")}
        ),
        dataclasses.replace(OPTIONS, places=("docker",)),
        dataclasses.replace(OPTIONS, static=False),
    ],
    ids=["profile", "as of", "targets", "obstacles", "places", "static"],
)
def test_other_options_have_a_plan_of_their_own(kept: KeptPlans, others: PlanOptions) -> None:
    make = Planner()
    ask(kept, make)
    ask(kept, make, others)
    assert make.made == 2


def test_another_snapshot_is_planned_by(kept: KeptPlans, tmp_path: Path) -> None:
    make = Planner()
    ask(kept, make)
    projects = {**world().projects}
    flask = projects["flask"]
    projects["flask"] = dataclasses.replace(flask, releases=flask.releases[:-1])
    (tmp_path / "releases.json").write_text(dump_snapshot(projects.values()))
    assert ask(kept, make) is not None
    assert make.made == 2


def test_a_day_that_the_snapshot_does_not_cover_and_no_snapshot_make_no_plan(
    kept: KeptPlans, tmp_path: Path
) -> None:
    make = Planner()
    assert ask(kept, make, dataclasses.replace(OPTIONS, as_of=SNAPSHOT_DAY)) is None
    (tmp_path / "releases.json").unlink()
    assert ask(kept, make) is None
    assert make.made == 0


def test_a_plan_in_which_another_index_has_a_part_is_made_each_time(
    kept: KeptPlans, tmp_path: Path
) -> None:
    projects = [item for name, item in world().projects.items() if name != "flask"]
    (tmp_path / "releases.json").write_text(dump_snapshot(projects))
    make = Planner("flask")
    ask(kept, make)
    ask(kept, make)
    assert make.made == 2


def test_a_damaged_plan_is_named_and_made_again(
    kept: KeptPlans, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make = Planner()
    first = ask(kept, make)
    (path,) = (tmp_path / "cache" / "plans").iterdir()
    path.write_bytes(path.read_bytes().replace(b"it is so", b"it is no"))
    capsys.readouterr()
    assert ask(kept, make) == first
    assert f"{path} is damaged" in capsys.readouterr().err
    assert make.made == 2
    ask(kept, make)
    assert make.made == 2


def test_only_the_newest_plans_are_kept(kept: KeptPlans, tmp_path: Path) -> None:
    plan = planned(page())
    for number in range(20):
        kept.write(f"{number:032}", plan)
    assert len(list((tmp_path / "cache" / "plans").iterdir())) == 12
    assert kept.read(f"{19:032}") == plan


def test_a_change_in_any_file_that_decides_makes_another_plan(tmp_path: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("matrix", "apps"):
        shutil.copytree(project_root() / name, tmp_path / name, ignore=ignore)
    unchanged = plan_sources_in(tmp_path)
    assert unchanged == plan_sources()
    roots = [tmp_path / name for name in FILES]
    files = [root if root.is_file() else min(root.rglob("*.*")) for root in roots]
    modules = [
        "planning/existence.py",
        "planning/integration_rows.py",
        "model/plan.py",
        "pypi/releases.py",
        "features/audit/index_offer.py",
        "probes/declarations.py",
        "interpreters/targets.py",
    ]
    files += [tmp_path / "apps" / "starlette_shop" / "shop.py"]
    for path in [*files, *(tmp_path / "matrix" / name for name in modules)]:
        before = path.read_bytes()
        path.write_bytes(before + b"# changed\n")
        assert plan_sources_in(tmp_path) != unchanged, path
        path.write_bytes(before)
    assert plan_sources_in(tmp_path) == unchanged
