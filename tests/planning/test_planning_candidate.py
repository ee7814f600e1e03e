"""Plans for one release: the promises about it are tested on it, and on nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
from helpers.planning_fixture import LINUX, claim, page, parts_of, planned, runtime, world

from matrix.errors import NothingSelectedError, UsageError
from matrix.features.qualification.candidate import Candidate, candidate_from
from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.plan import Plan
from matrix.planning.coverage import load_coverage
from matrix.planning.planner import make_plan


def tracers(plan: Plan) -> set[str]:
    return {part.minimum.ddtrace for part in plan.parts}


def names(plan: Plan) -> set[str]:
    return {each.id.removeprefix("page.md/") for each in plan.claims}


def test_everything_is_tested_at_the_candidate() -> None:
    plan = planned(page(), candidate="1.20.19")
    assert plan.candidate == "1.20.19"
    assert tracers(plan) == {"1.20.19"}
    # No other release is required: they are fallbacks for a candidate without the feature.
    assert {each.cell.ddtrace for each in plan.cells} == {"1.20.19"}
    assert all(part.before is None for part in plan.parts)


def test_claims_about_other_releases_are_not_in_the_plan() -> None:
    about = names(planned(page(), candidate="1.9.7"))
    assert "capability/threat-detection" in about
    assert "branch/ddtrace/>=1.0,<2" in about
    assert "branch/ddtrace/<1" not in about
    # Documented from later releases on.
    assert "capability/threat-protection" not in about
    assert "capability/api-security" not in about
    assert "integration/flask/yes" in about
    assert "capability/iast" in about


def test_a_preview_without_a_version_was_promised_to_the_newest_branch_only() -> None:
    about = names(planned(page(), candidate="0.61.5"))
    assert "capability/iast" not in about
    assert "note/flask-query-string" not in about
    assert "branch/ddtrace/<1" in about


def test_a_documented_version_counts_where_the_page_names_no_such_branch() -> None:
    about = names(planned(page(), candidate="2.21.12"))
    assert "capability/api-security" in about
    assert not {each for each in about if each.startswith(("integration", "branch", "runtime"))}
    # A later branch may have got what is denied of those before.
    assert "note/flask-query-string" not in about


def test_runtimes_are_tested_where_their_row_admits_the_candidate() -> None:
    rows = [runtime("==3.9.*", "<2"), runtime("==3.9.*", ">=2"), runtime("==3.12.*", ">=2")]
    plan = planned(rows, candidate="2.21.12")
    assert [each.specifier for each in plan.claims] == [">=2", ">=2"]
    assert {part.minimum.python for part in plan.parts} == {"3.9", "3.12"}


def controls_of(plan: Plan, claim_id: str) -> list[str]:
    part = parts_of(plan, claim_id)[0]
    return [cell.ddtrace for cell in part.controls]


def test_later_releases_are_controls_then_earlier_ones_that_have_it_too() -> None:
    plan = planned(page(), candidate="1.10.0")
    controls = controls_of(plan, "capability/threat-detection")
    assert controls == ["1.10.0", "1.20.19", "1.10.3", "1.9.7"]
    newest = planned(page(), candidate="1.20.19")
    assert controls_of(newest, "capability/threat-protection") == [
        *("1.20.19", "1.20.18", "1.10.3")
    ]


def test_a_denial_is_tested_on_the_candidate_and_compared_with_itself() -> None:
    denied = claim(ClaimKind.NOTE, "flask-query-string", status=Status.NOT_SUPPORTED)
    plan = planned([*page()[:1], denied], candidate="1.20.19")
    part = parts_of(plan, "note/flask-query-string")[0]
    assert part.expects_absent
    assert [cell.ddtrace for cell in part.controls] == ["1.20.19"]
    assert part.minimum not in part.controls


def test_a_pre_release_is_tested_for_the_promises_of_its_final_release() -> None:
    plan = planned(page(), candidate="1.9.0rc1")
    assert tracers(plan) == {"1.9.0rc1"}
    assert "capability/threat-detection" in names(plan)
    assert all(Cell.parse(each.cell.id) == each.cell for each in plan.cells)


def test_other_pre_releases_are_no_controls() -> None:
    plan = planned(page(), candidate="1.9.0rc1")
    controls = controls_of(plan, "capability/threat-detection")
    assert controls == ["1.9.0rc1", "1.20.19", "1.10.3", "1.9.7"]


def unpublished(version: str) -> Candidate:
    published = candidate_from("1.20.19", (), "", world())
    wheels = tuple(file for file in published.files if file.tags)
    day = dt.datetime(2024, 6, 30, 23, 59, tzinfo=dt.timezone.utc)
    return Candidate(version, wheels, day, index_url="https://x.example")


@pytest.mark.parametrize("version", ["1.20.21", "1.20.21+g1234", "1.20.21.dev1"])
def test_a_candidate_that_the_index_does_not_have_is_planned_as_of_its_day(version: str) -> None:
    coverage = load_coverage(integrations={})
    plan = make_plan(
        page(),
        unpublished(version).overlay(world()),
        targets=(LINUX,),
        coverage=coverage,
        candidate=version,
    )
    assert tracers(plan) == {version}
    assert {each.as_of for each in plan.cells} == {dt.date(2024, 7, 1)}
    assert all(Cell.parse(each.cell.id) == each.cell for each in plan.cells)


def test_an_unknown_candidate_and_one_without_claims_are_errors() -> None:
    with pytest.raises(UsageError, match=r"no release 9\.9\.9 of ddtrace"):
        planned(page(), candidate="9.9.9")
    old: list[Claim] = [runtime("==3.9.*", "<2")]
    with pytest.raises(NothingSelectedError, match=r"no claim is about ddtrace 2\.21\.12"):
        planned(old, candidate="2.21.12")
