"""Plans for rows of integration tables: cells, controls and omissions of a library."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from helpers.library_modules import PAPER_MODULE, PATCH_FUNCTION
from helpers.planning_fixture import LINUX, FakeIndex, claim, runtime, world

from matrix.model.claim import Claim, ClaimKind
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan
from matrix.probes.declarations import parse
from matrix.pypi.tags import wheel_tags
from matrix.system.files import read_data

RELEASES = {
    "1.0": ("2015-01-01", "", "paper-1.0.tar.gz"),
    "1.5": ("2017-01-01", "", "paper-1.5-py2.py3-none-any.whl"),
    "2.0": ("2020-01-01", ">=3.6", "paper-2.0-py3-none-any.whl"),
    "2.4": ("2022-01-01", ">=3.8", "paper-2.4-py3-none-any.whl"),
    "3.0": ("2024-08-01", ">=3.8", "paper-3.0-py3-none-any.whl"),
}
BRANCHES = [
    claim(ClaimKind.BRANCH, "ddtrace", ">=1.0,<2"),
    claim(ClaimKind.BRANCH, "ddtrace", ">=2.0,<3"),
    *(runtime(f"=={python}.*") for python in ("2.7", "3.6", "3.9", "3.11")),
    runtime(">=3.7", ">=2"),
]


def row(specifier: str = ">=1.0", **scope: str) -> Claim:
    claimed = claim(ClaimKind.INTEGRATION, "paper", specifier)
    return dataclasses.replace(claimed, scope=tuple({"automatic": "yes", **scope}.items()))


def index() -> FakeIndex:
    fake_index = world()
    releases = []
    for version, (day, requires, name) in RELEASES.items():
        moment = dt.datetime.fromisoformat(day).replace(tzinfo=dt.timezone.utc)
        file = File(name, "https://a.example/", "0", moment, requires, False, wheel_tags(name))
        releases.append(ReleaseFiles(version, moment, False, requires, (file,)))
    fake_index.projects["paper"] = Project(
        "paper", dt.datetime.now(dt.timezone.utc), tuple(releases)
    )
    return fake_index


def planned(text: str, *rows: Claim, fake_index: FakeIndex | None = None) -> Plan:
    coverage = load_coverage(read_data("coverage"), {"paper": parse("paper", text)})
    claims = [*BRANCHES, *rows]
    plan = make_plan(claims, fake_index or index(), targets=(LINUX,), coverage=coverage)
    ids = {row.id for row in rows}
    return dataclasses.replace(
        plan,
        parts=tuple(part for part in plan.parts if part.claim in ids),
        omissions=tuple(item for item in plan.omissions if item.claim in ids),
    )


def cells(plan: Plan) -> set[tuple[str, str, str]]:
    minimums = [part.minimum for part in plan.parts]
    return {(cell.python, cell.framework_version, cell.ddtrace) for cell in minimums}


def test_a_row_is_tested_at_both_ends_of_library_runtime_and_branch() -> None:
    assert cells(planned(PAPER_MODULE, row())) == {
        ("2.7", "1.0", "1.20.19"),
        ("3.11", "1.0", "1.20.19"),
        ("2.7", "1.5", "1.20.19"),  # 2.x is not for 2.7
        ("3.11", "2.4", "1.20.19"),  # 3.0 came after that release of the tracer
        ("3.7", "1.0", "2.21.12"),
        ("3.12", "1.0", "2.21.12"),
        ("3.7", "2.0", "2.21.12"),
        ("3.12", "3.0", "2.21.12"),
    }


def test_an_upper_bound_of_the_row_holds() -> None:
    plan = planned(PAPER_MODULE, row(">=1.0,<=2.0"))
    assert {version for _, version, _ in cells(plan)} == {"1.0", "1.5", "2.0"}


def test_a_release_is_compared_with_others_of_its_library_and_then_of_the_tracer() -> None:
    plan = planned(PAPER_MODULE, row())
    part = next(
        part
        for part in plan.parts
        if (part.minimum.python, part.minimum.framework_version) == ("3.11", "1.0")
    )
    assert part.controls[0] == part.minimum
    assert [(cell.framework_version, cell.ddtrace) for cell in part.controls[1:]] == [
        ("2.4", "1.20.19"),
        ("1.5", "1.20.19"),
        ("1.0", "2.21.12"),
    ]
    assert {cell.python for cell in part.controls} == {"3.11"}
    # They are in reserve: of this row both ends are all that is run.
    assert {item.cell for item in plan.cells} >= {part.minimum for part in plan.parts}
    assert not {item.cell for item in plan.cells} & {part.controls[-1]}


def test_a_row_that_is_not_automatic_must_show_nothing_without_its_call() -> None:
    plan = planned(PAPER_MODULE + PATCH_FUNCTION, row(automatic="no"))
    channels = {(part.channel, part.expects_absent, part.control_channel) for part in plan.parts}
    assert channels == {("explicit", False, ""), ("automatic", True, "explicit")}
    for part in plan.parts:
        assert part.controls[0] == part.minimum or not part.expects_absent


def test_a_row_that_is_not_automatic_needs_a_call() -> None:
    plan = planned(PAPER_MODULE, row(automatic="no"))
    assert not plan.parts
    assert {item.reason for item in plan.omissions} == {Reason.NO_PROBE}


def test_a_row_that_is_automatic_on_some_cpythons_is_tested_on_those() -> None:
    plan = planned(PAPER_MODULE, row(automatic_python=">3.7"))
    # The ends of two branches, and 3.10 for the major between.
    assert {python for python, _, _ in cells(plan)} == {"3.9", "3.10", "3.11", "3.8", "3.12"}
    assert {item.reason for item in plan.omissions} == {
        Reason.OUTSIDE_CLAIM,
        Reason.BETWEEN_BOUNDARIES,
    }


def test_a_minimum_that_no_cpython_runs_is_named_with_the_lowest_that_one_does() -> None:
    plan = planned(PAPER_MODULE + 'PYTHON = [["<1.5", "<2.7"]]\n', row())
    gaps = {item.subject: item for item in plan.omissions if item.reason is Reason.NO_RUNTIME}
    assert set(gaps) == {"paper 1.0 with ddtrace 1.20.19", "paper 1.0 with ddtrace 2.21.12"}
    assert all("is 1.5" in item.detail for item in gaps.values())
    assert "1.0" not in {version for _, version, _ in cells(plan)}


def test_a_minimum_that_one_branch_of_the_tracer_can_run_is_no_gap() -> None:
    plan = planned(PAPER_MODULE + 'PYTHON = [["<1.5", "<3"]]\n', row())
    assert ("2.7", "1.0", "1.20.19") in cells(plan)
    assert ("3.7", "1.5", "2.21.12") in cells(plan)
    assert Reason.NO_RUNTIME not in {item.reason for item in plan.omissions}


def test_a_minimum_that_runs_only_where_the_row_means_nothing_is_a_gap() -> None:
    text = PAPER_MODULE + 'PYTHON = [["<1.5", "<3"]]\n'
    plan = planned(text, row(automatic_python=">3"))
    assert "1.0" not in {version for _, version, _ in cells(plan)}
    gaps = {item.subject for item in plan.omissions if item.reason is Reason.NO_RUNTIME}
    assert "paper 1.0 with ddtrace 1.20.19" in gaps


def test_the_standard_library_has_the_version_of_its_interpreter() -> None:
    text = (
        PAPER_MODULE.replace('DISTRIBUTION = "paper"', 'DISTRIBUTION = ""') + 'PYTHON = ">=3.5"\n'
    )
    fake_index = index()
    plan = planned(text, row(""), fake_index=fake_index)
    assert cells(plan) == {
        ("3.6", "3.6", "1.20.19"),
        ("3.11", "3.11", "1.20.19"),
        ("3.7", "3.7", "2.21.12"),
        ("3.12", "3.12", "2.21.12"),
    }
    assert "paper" not in fake_index.requested


def test_a_role_has_a_module_of_its_own_where_there_is_one() -> None:
    coverage = load_coverage(
        read_data("coverage"),
        {
            "paper": parse("paper", PAPER_MODULE),
            "paper-server": parse("paper-server", PAPER_MODULE),
        },
    )
    roles = [coverage.rule(row(role=role)) for role in ("client", "server")]
    assert [getattr(rule, "library", "") for rule in roles] == ["paper", "paper-server"]


def test_a_project_that_the_index_lacks_leaves_the_other_rows_alone() -> None:
    fake_index = index()
    del fake_index.projects["paper"]
    plan = planned(PAPER_MODULE, row(), fake_index=fake_index)
    assert {item.reason for item in plan.omissions} == {Reason.INDEX_UNAVAILABLE}


def test_a_database_with_a_row_of_its_own_is_tested_by_that_library() -> None:
    data = dict(read_data("coverage"))
    entry = {**data["note"]["db-api"], "drivers": {"mysql": "paper", "mariadb": "paper"}}
    data["note"] = {**data["note"], "db-api": entry}
    coverage = load_coverage(data, {"paper": parse("paper", PAPER_MODULE)})
    named = claim(ClaimKind.NOTE, "db-api", note="sqlite, mysql, mariadb, oracle")
    minimum = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0")
    plan = make_plan([*BRANCHES, minimum, named], index(), targets=(LINUX,), coverage=coverage)
    parts = [part for part in plan.parts if part.claim == named.id]
    assert {(part.probe, part.channel) for part in parts} == {
        ("db-api", "query"),
        ("db-api", "error"),
        ("integration-paper", "automatic"),
    }
    # At the documented minimum of the tracer and at the newest of each branch, as for the sample
    # app; and the library's newest.
    assert {part.minimum.ddtrace for part in parts} == {"1.9.0", "1.20.19", "2.21.12"}
    lowest = [part.minimum for part in parts if part.minimum.ddtrace == "1.9.0"]
    of_paper = [cell for cell in lowest if cell.framework == "paper"]
    assert {(cell.python, cell.framework_version) for cell in of_paper} == {
        ("2.7", "1.5"),
        ("3.11", "2.4"),
    }
    missing = [item.subject for item in plan.omissions if item.reason is Reason.NO_BACK_END]
    assert missing == ["db-api with oracle"]


@pytest.mark.parametrize(("patch", "way"), [("", "automatic"), (PATCH_FUNCTION, "explicit")])
def test_a_promise_about_data_stores_is_tested_on_each_in_the_way_that_it_is_traced(
    patch: str, way: str
) -> None:
    data = dict(read_data("coverage"))
    entry = {
        **data["note"]["datastore-query"],
        "stores": ["paper"],
        "stores_left_out": {"slate": "it documents none"},
    }
    data["note"] = {**data["note"], "datastore-query": entry}
    coverage = load_coverage(data, {"paper": parse("paper", PAPER_MODULE + patch)})
    named = claim(ClaimKind.NOTE, "datastore-query")
    minimum = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0")
    plan = make_plan([*BRANCHES, minimum, named], index(), targets=(LINUX,), coverage=coverage)
    parts = [part for part in plan.parts if part.claim == named.id]
    assert {(part.probe, part.channel) for part in parts} == {
        ("db-api", "query"),
        ("integration-paper", f"{way}-query"),
    }
    assert {part.minimum.ddtrace for part in parts} == {"1.9.0", "1.20.19", "2.21.12"}
    (left_out,) = (item for item in plan.omissions if item.reason is Reason.OUTSIDE_CLAIM)
    assert (left_out.subject, left_out.detail) == ("slate", "it documents none")


def test_the_sample_apps_keep_their_own_experiments() -> None:
    for subject in ("django", "flask", "sqlite3"):
        rule = load_coverage().rule(claim(ClaimKind.INTEGRATION, subject, automatic="yes"))
        assert not isinstance(rule, Reason)
        assert not rule.library
