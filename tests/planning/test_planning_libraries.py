"""Rows of integration tables: the releases of a library that are tested, and their CPythons."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from helpers.planning_fixture import (
    LINUX,
    READ,
    FakeIndex,
    claim,
    left_out_of,
    parts_of,
    project,
    world,
)

from matrix.model.cell import Cell
from matrix.model.claim import ClaimKind
from matrix.model.plan import Part, Plan
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan
from matrix.probes.declarations import parse

MODULE = """
DISTRIBUTION = "paper"
INTEGRATION = "paper"
SERVICE = ""
SPAN = {"name": "paper.fold"}

def call(context):
    pass
"""
PAPER = {
    "0.9": ("2012-01-01", ""),
    "1.2.0": ("2013-01-01", ""),
    "1.2.1": ("2013-02-01", ""),
    "1.3.0": ("2014-01-01", ""),
    "1.3.1": ("2014-02-01", ""),
    "2.0": ("2019-12-01", ">=3.5"),
    "2.5": ("2020-12-01", ">=3.6"),
    "3.0": ("2021-11-01", ">=3.6"),
    "4.0": ("2023-01-01", ">=3.7"),
    "5.0": ("2024-09-01", ">=3.9"),
    "6.0": ("2030-01-01", ">=3.9"),
}


def plan_of(
    specifier: str, written: str = "", *, profile: str = "documented", python: str = ""
) -> Plan:
    text = MODULE + (f"PYTHON = {python!r}\n" if python else "")
    coverage = load_coverage(integrations={"paper": parse("paper", text)})
    row_claim = claim(ClaimKind.INTEGRATION, "paper", specifier, automatic="yes")
    row_claim = dataclasses.replace(row_claim, as_written=written or specifier)
    branches = [claim(ClaimKind.BRANCH, "ddtrace", each) for each in (">=1.0,<2", ">=2.0,<3")]
    projects = {**world().projects, "paper": project("paper", PAPER)}
    return make_plan(
        [row_claim, *branches],
        FakeIndex(projects),
        profile=profile,
        targets=(LINUX,),
        coverage=coverage,
    )


def row(plan: Plan) -> list[Part]:
    return parts_of(plan, "integration/paper/yes")


def short(cell: Cell | None) -> str:
    """Return `2.7 paper1.2.0 1.20.19` for a cell."""
    if cell is None:
        return ""
    python, _, paper, tracer = cell.id.split("-")
    return f"{python[2]}.{python[3:]} {paper[5:]} {tracer[7:]}"


def shorts(plan: Plan, pick: str) -> list[str]:
    return [short(part.minimum) for part in row(plan) if part.pick == pick]


def test_the_ends_of_a_range_are_tested_on_the_ends_of_the_runtimes() -> None:
    plan = plan_of(">=1.2.0")
    assert shorts(plan, "lowest") == [
        "2.7 1.2.0 1.20.19",
        "3.11 1.2.0 1.20.19",
        "3.7 1.2.0 2.21.12",
        "3.12 1.2.0 2.21.12",
    ]
    assert shorts(plan, "newest") == [
        "2.7 1.3.1 1.20.19",
        "3.11 4.0 1.20.19",
        "3.7 4.0 2.21.12",
        "3.12 5.0 2.21.12",
    ]


def test_each_major_between_is_tested_once_on_the_cpython_of_its_time() -> None:
    """2.5 is of December 2020, when 3.9 was two months old, and 3.0 came a month after 3.10."""
    plan = plan_of(">=1.2.0")
    assert shorts(plan, "between") == [
        "3.9 2.5 1.20.19",
        "3.10 3.0 1.20.19",
        "3.9 2.5 2.21.12",
        "3.10 3.0 2.21.12",
    ]
    omissions = [
        item for item in left_out_of(plan, "integration/paper/yes") if "3.0" in item.subject
    ]
    assert {item.reason for item in omissions} == {Reason.BETWEEN_BOUNDARIES}


def test_every_runtime_tests_every_major_in_the_exhaustive_plan() -> None:
    cells = shorts(plan_of(">=1.2.0", profile="exhaustive"), "between")
    assert {each for each in cells if each.endswith("2.5 1.20.19")} == {
        f"3.{minor} 2.5 1.20.19" for minor in (6, 7, 8, 9, 10, 11)
    }


def test_a_cpython_that_the_row_refuses_gets_no_major() -> None:
    assert not [
        each for each in shorts(plan_of(">=1.2.0", python="<3.9"), "between") if "3.1" in each
    ]


def test_the_release_before_the_documented_one_is_tested_on_the_first_cpython() -> None:
    lows = [part for part in row(plan_of(">=1.2.0")) if part.pick == "lowest"]
    assert [short(part.before) for part in lows] == ["2.7 0.9 1.20.19", "", "3.7 0.9 2.21.12", ""]
    assert not any(part.before for part in row(plan_of(">=0.9")))


@pytest.mark.parametrize(
    ("specifier", "above"), [(">=1.2.0,<=3.0", "4.0"), (">=1.2,<2", "2.0"), (">=1.2", "")]
)
def test_the_first_release_above_the_upper_end_is_tested_beside_the_newest(
    specifier: str, above: str
) -> None:
    plan = plan_of(specifier)
    assert {short(part.above).partition(" ")[2] for part in row(plan)} - {""} == (
        {f"{above} 1.20.19", f"{above} 2.21.12"} if above else set()
    )
    assert {part.pick for part in row(plan) if part.above} <= {"newest"}
    run = {each.cell for each in plan.cells}
    assert {part.above for part in row(plan) if part.above} <= run


def test_what_came_after_the_tracer_is_not_above_its_range() -> None:
    assert not any(part.above for part in row(plan_of(">=1.2,<6")))


@pytest.mark.parametrize(
    ("specifier", "written", "choice"),
    [
        (">=1.2.0", ">= 1.2.0", ""),
        (">=1.2", ">= 1.2", ""),
        (">=1.2.1", ">= 1.2.01", "paper 1.2.01 is 1.2.1 on the index"),
        (">=1.1", "1.1 and later", "the index has no paper 1.1: the lowest in the range is 1.2.0"),
    ],
)
def test_a_version_that_is_not_on_the_index_is_named_with_the_one_that_is_tested(
    specifier: str, written: str, choice: str
) -> None:
    plan = plan_of(specifier, written)
    assert {part.choice for part in row(plan) if part.pick == "lowest"} == {choice}
    assert not [item for item in plan.omissions if item.reason is Reason.NO_RELEASE]


def test_a_minimum_for_no_cpython_of_the_tracer_is_named_with_the_one_that_is_tested() -> None:
    plan = plan_of(">=1.2.0", python=">=3.14")
    assert not row(plan)
    lows = [part for part in row(plan_of(">=5.0")) if part.pick == "lowest"]
    assert {short(part.minimum) for part in lows} == {"3.9 5.0 2.21.12", "3.12 5.0 2.21.12"}


def test_later_releases_and_other_cpythons_are_in_reserve_of_a_minimum() -> None:
    plan = plan_of(">=1.2.0")
    first = row(plan)[0]
    assert [short(each) for each in first.later] == [
        f"2.7 {version} 1.20.19" for version in ("1.2.1", "1.3.0", "1.3.1")
    ]
    assert [short(each) for each in first.elsewhere] == [
        f"3.{minor} 1.2.0 1.20.19" for minor in range(5, 11)
    ]
    run = {each.cell for each in plan.cells}
    reserve = {each.cell for each in plan.fallbacks}
    assert set(first.elsewhere) <= reserve
    assert set(first.later) <= reserve | run
    assert first.later[0] in reserve


def test_of_many_later_releases_some_are_in_reserve_the_next_and_the_newest_among_them() -> None:
    day = dt.date(2013, 1, 1).isoformat()
    many = {f"1.{minor}": (day, "") for minor in range(2, 60)}
    coverage = load_coverage(integrations={"paper": parse("paper", MODULE)})
    index = FakeIndex({**world().projects, "paper": project("paper", many)})
    row_claim = claim(ClaimKind.INTEGRATION, "paper", ">=1.2", automatic="yes")
    plan = make_plan([row_claim], index, targets=(LINUX,), coverage=coverage, as_of=READ.date())
    versions = [each.id.split("-")[2] for each in row(plan)[0].later]
    assert len(versions) <= 15
    assert versions[0] == "paper1.3"
    assert versions[-1] == "paper1.59"
