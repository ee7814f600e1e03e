"""Plans for rows whose name leads to several distributions, or is one of several names."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.library_modules import PAPER_MODULE, PATCH_FUNCTION
from helpers.planning_fixture import LINUX, FakeIndex, claim, project, world

from matrix.model.cell import Cell
from matrix.model.claim import ClaimKind
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan
from matrix.probes.declarations import parse
from matrix.probes.integrations import load_integrations

PAPER = (
    PAPER_MODULE.replace('"paper"\nINT', '[["<3", "paper2"], [">=3", "paper"]]\nINT')
    + 'SYNONYMS = [["paper2", "paper2"], ["sheet", "paper"]]\n'
)
PROJECTS = {
    "paper": project(
        "paper", {"2.0": ("2020-01-01", ""), "3.0": ("2021-01-01", ""), "3.1": ("2022-01-01", "")}
    ),
    "paper2": project("paper2", {"2.0": ("2015-01-01", ""), "2.5": ("2020-06-01", "")}),
}


def plan_of(
    subject: str, specifier: str = ">=2.0", role: str = "", integration: str = "", **modules: str
) -> Plan:
    slugs = {name.replace("_", "-"): text for name, text in (modules or {"paper": PAPER}).items()}
    integrations = {slug: parse(slug, text) for slug, text in slugs.items()}
    row = claim(ClaimKind.INTEGRATION, subject, specifier, automatic="yes")
    scope = [pair for pair in (("role", role), ("integration", integration)) if pair[1]]
    row = dataclasses.replace(row, scope=(*row.scope, *scope))
    return make_plan(
        [row, claim(ClaimKind.BRANCH, "ddtrace", ">=2.0,<3")],
        FakeIndex({**world().projects, **PROJECTS}),
        targets=(LINUX,),
        coverage=load_coverage(integrations=integrations),
    )


def releases(plan: Plan) -> set[str]:
    cells = [part.minimum for part in plan.parts]
    return {f"{cell.framework} {cell.framework_version}" for cell in cells}


def test_a_row_is_about_every_distribution_that_bears_its_name() -> None:
    assert releases(plan_of("paper")) == {"paper 2.0", "paper 3.1"}
    assert releases(plan_of("paper", ">=1.0")) == {"paper 2.0", "paper 3.1"}


def test_the_other_distribution_s_releases_are_beyond_the_range() -> None:
    plan = plan_of("paper", ">=2.0,<3")
    assert releases(plan) == {"paper 2.0", "paper 2.5"}
    assert {part.above.framework_version for part in plan.parts if part.above} == {"3.0"}


@pytest.mark.parametrize(
    ("subject", "expected"),
    [("paper2", {"paper 2.0", "paper 2.5"}), ("sheet", {"paper 3.0", "paper 3.1"})],
)
def test_a_synonym_is_about_its_distribution_in_the_same_cells(
    subject: str, expected: set[str]
) -> None:
    assert releases(plan_of(subject)) == expected


def test_a_distribution_without_a_release_in_the_range_is_named() -> None:
    omissions = plan_of("paper", ">=9").omissions
    (detail,) = {item.detail for item in omissions if item.reason is Reason.NO_RELEASE}
    assert detail == "no release of paper2 or paper >=9"


def test_a_row_with_a_role_is_not_answered_by_another_role() -> None:
    plan = plan_of("paper", paper_client=PAPER_MODULE, role="server")
    assert not plan.parts
    assert Reason.NO_PROBE in {item.reason for item in plan.omissions}


def test_a_row_of_the_registry_is_about_the_library_of_its_integration() -> None:
    press = PAPER_MODULE.replace('INTEGRATION = "paper"', 'INTEGRATION = "press"')
    modules = {"paper": PAPER_MODULE, "press_paper": press}
    for integration, expected in (("press", "press-paper"), ("paper", "paper"), ("mill", "paper")):
        plan = plan_of("paper", integration=integration, **modules)
        assert releases(plan) == {f"{expected} 2.0", f"{expected} 3.1"}


def test_a_row_without_a_role_is_about_the_roles_that_are_traced_automatically() -> None:
    client, server = PAPER_MODULE, PAPER_MODULE + PATCH_FUNCTION
    assert releases(plan_of("paper", paper_client=client, paper_server=client)) == {
        "paper-client 2.0",
        "paper-client 3.1",
        "paper-server 2.0",
        "paper-server 3.1",
    }
    assert releases(plan_of("paper", paper_client=client, paper_server=server)) == {
        "paper-client 2.0",
        "paper-client 3.1",
    }


def test_every_name_of_a_library_makes_an_id_that_is_read_again() -> None:
    for name in load_integrations():
        cell = Cell("3.9", LINUX, name, "2.9.5", "2.21.12")
        assert Cell.parse(cell.id) == cell
