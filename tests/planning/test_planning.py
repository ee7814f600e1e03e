"""The parts of claims, by example, with an index that is small enough to check by hand."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.planning_fixture import claim, page, parts_of, planned, reasons, runtime, world

from matrix.errors import UsageError
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.reason import Reason
from matrix.planning.boundaries import branch_ranges
from matrix.planning.coverage import CoverageRule
from matrix.planning.expectations import Check
from matrix.planning.profiles import load_profile
from matrix.pypi.releases import Releases


def test_a_capability_is_tested_at_its_boundaries() -> None:
    parts = parts_of(planned(page()), "capability/threat-detection")
    cells = {(part.minimum, part.before, part.controls[0]) for part in parts if part.before}
    environments = [
        "cp27-linux_x86_64-django1.8",
        "cp27-linux_x86_64-django1.11.29",
        # CPython 3.11 needs Django 4.1.3, and 4.2 is younger than the tracer.
        "cp311-linux_x86_64-django4.1.7",
        "cp27-linux_x86_64-flask0.10",
        "cp311-linux_x86_64-flask0.10",
        "cp27-linux_x86_64-flask1.1.4",
        "cp311-linux_x86_64-flask2.2.3",
    ]
    assert {tuple(map(str, group)) for group in cells} == {
        (f"{prefix}-ddtrace1.9.0", f"{prefix}-ddtrace1.8.3", f"{prefix}-ddtrace1.20.19")
        for prefix in environments
    }
    assert {(part.probe, part.channel) for part in parts} == {("threat-detection", "static")}


def test_a_promise_from_a_release_on_is_tested_at_the_newest_of_each_branch() -> None:
    parts = parts_of(planned(page()), "capability/threat-detection")
    heads = [part for part in parts if part.minimum.ddtrace != "1.9.0"]
    assert {part.minimum.ddtrace for part in heads} == {"1.20.19"}
    assert {part.before for part in heads} == {None}
    # What it held at is the positive control of what it does not hold at any more.
    assert {cell.ddtrace for part in heads for cell in part.controls} == {"1.9.0"}


def test_later_majors_than_those_of_the_page_are_run_beside_its_newest_branch() -> None:
    parts = parts_of(planned(page()), "capability/threat-detection")
    beyond = {part.minimum.python: part.beyond for part in parts if part.minimum.ddtrace != "1.9.0"}
    assert {part.beyond for part in parts if part.minimum.ddtrace == "1.9.0"} == {()}
    # 2.7 has no wheel of theirs.
    assert {python: [cell.ddtrace for cell in cells] for python, cells in beyond.items()} == {
        "2.7": [],
        "3.11": ["2.21.12", "3.0.0"],
    }
    smoke = parts_of(planned(page(), "smoke"), "capability/threat-detection")
    assert {cell.ddtrace for part in smoke for cell in part.beyond} == {"3.0.0"}


def test_a_page_without_branches_promises_every_major() -> None:
    named = [item for item in page() if item.kind is not ClaimKind.BRANCH]
    parts = parts_of(planned(named), "capability/threat-detection")
    assert {part.minimum.ddtrace for part in parts} == {"1.9.0", "1.20.19", "2.21.12", "3.0.0"}
    assert {part.beyond for part in parts} == {()}


def test_a_denial_is_not_asked_of_later_majors() -> None:
    parts = parts_of(planned(page()), "note/flask-query-string")
    assert parts
    assert {part.beyond for part in parts} == {()}


def test_a_promise_that_ends_is_not_tested_beyond_its_end() -> None:
    ended = claim(ClaimKind.CAPABILITY, "sca", ">=1.9,<1.20")
    for claims in ([ended], [ended, claim(ClaimKind.BRANCH, "ddtrace", ">=1.0,<2")]):
        parts = parts_of(planned(claims), "capability/sca")
        assert {part.minimum.ddtrace for part in parts} == {"1.9.0"}
        assert {part.beyond for part in parts} == {()}


def test_controls_step_back_to_the_minimums_own_series_and_never_to_the_minimum() -> None:
    part = parts_of(planned(page()), "capability/threat-detection")[0]
    versions = [cell.ddtrace for cell in part.controls]
    assert versions == ["1.20.19", "1.10.3", "1.9.7"]
    plan = planned(page())
    fallbacks = {planned_cell.cell.id for planned_cell in plan.fallbacks}
    assert part.controls[0].id not in fallbacks
    assert {part.controls[1].id, part.controls[2].id} <= fallbacks | {
        planned_cell.cell.id for planned_cell in plan.cells
    }


def test_a_minimum_of_no_branch_is_compared_within_its_major() -> None:
    parts = parts_of(planned(page()), "capability/api-security")
    assert {part.controls[0].id.rpartition("ddtrace")[2] for part in parts} == {"2.21.12"}
    assert {str(part.before).rpartition("ddtrace")[2] for part in parts} == {"2.5.6"}


def test_a_preview_without_a_version_is_tested_at_the_head_of_the_newest_branch() -> None:
    parts = parts_of(planned(page()), "capability/iast")
    assert {part.minimum.id.rpartition("ddtrace")[2] for part in parts} == {"1.20.19"}
    assert {(part.before, part.controls) for part in parts} == {(None, ())}


def test_user_events_run_where_the_authentication_table_says() -> None:
    plan = planned(page())
    whole = {part.minimum.id.split("-")[2] for part in parts_of(plan, "capability/user-events")}
    assert whole == {"django1.11", "django4.0", "django4.1.7", "django4.2", "django5.0"}
    series = parts_of(plan, "authentication/django/==1.11.*")
    assert {part.minimum.id.split("-")[2] for part in series} == {"django1.11"}
    assert {part.minimum.ddtrace for part in series} == {"1.10.0", "1.20.19"}
    assert {part.minimum.id[:4] for part in series} == {"cp27", "cp36"}


def test_an_integration_is_tested_at_the_ends_of_each_branch() -> None:
    parts = parts_of(planned(page()), "integration/flask/yes")
    assert {part.minimum.id.rpartition("ddtrace")[2] for part in parts} == {
        "0.61.5",  # `<1` has no first release
        "1.0.0",
        "1.20.19",
    }
    assert {part.before for part in parts} == {None}
    assert {part.channel for part in parts} == {"request", "error"}


def test_a_database_is_tested_in_a_sample_app() -> None:
    parts = parts_of(planned(page()), "integration/sqlite3/yes")
    assert {part.probe for part in parts} == {"db-api"}
    assert all(part.minimum.framework == "flask" for part in parts)


@pytest.mark.parametrize("profile", ["documented", "exhaustive"])
def test_a_runtime_is_tested_itself(profile: str) -> None:
    plan = planned(page(), profile)
    parts = parts_of(plan, "runtime/cpython/linux/x86_64/==3.8.*/<2")
    assert {part.minimum.id for part in parts} == {
        "cp38-linux_x86_64-flask2.0.3-ddtrace1.0.0",
        "cp38-linux_x86_64-flask2.0.3-ddtrace0.61.5",
        "cp38-linux_x86_64-flask3.0.0-ddtrace1.20.19",
    }


def test_the_exhaustive_profile_leaves_no_runtime_out() -> None:
    plan = planned(page(), "exhaustive")
    narrowed = {Reason.NOT_IN_PROFILE, Reason.BETWEEN_BOUNDARIES}
    assert not narrowed & {item.reason for item in plan.omissions}
    pythons = {
        part.minimum.id[:5].rstrip("-")
        for part in parts_of(plan, "capability/threat-detection")
        if "flask0.10-" in part.minimum.id
    }
    assert pythons == {"cp27", "cp35", "cp36", "cp37", "cp38", "cp39", "cp310", "cp311"}


def test_the_smoke_profile_is_eighteen_cells_at_most() -> None:
    assert 0 < len(planned(page(), "smoke").cells) <= 18
    others = [each for each in page() if each.subject != "request-tags"]
    plan = planned(others, "smoke")
    assert {part.claim for part in plan.parts} == {
        "page.md/capability/threat-detection",
        "page.md/capability/threat-protection",
    }
    assert {each.cell.framework for each in plan.cells} == {"flask"}
    assert {each.cell.python for each in plan.cells} == {"3.11"}


def test_the_smoke_profile_tests_one_promise_in_full() -> None:
    smoke, documented = planned(page(), "smoke"), planned(page())
    note = "note/request-tags"
    parts = parts_of(documented, note)
    # Of later majors, only the newest.
    of_newest = [dataclasses.replace(part, beyond=part.beyond[-1:]) for part in parts]
    assert parts_of(smoke, note) == of_newest != []
    assert reasons(smoke, note) <= {Reason.BETWEEN_BOUNDARIES}
    assert reasons(smoke, "capability/threat-detection") == {Reason.NOT_IN_PROFILE}


def test_the_first_limit_of_a_profile_that_admits_a_check_decides() -> None:
    data = {
        "two": {
            "ask": [
                {"runtimes": "newest", "subjects": ["sca"]},
                {"runtimes": "all", "minimums": ["sca"]},
            ]
        }
    }
    profile = load_profile("two", data)
    boundary = branch_ranges(Releases(world().project("ddtrace")), [], "")[0]
    note = claim(ClaimKind.NOTE, "datastore-query")
    rule = CoverageRule("db-api", ("query",), ())

    def runtimes_of(about: Claim, minimum: str) -> str | None:
        check = Check(about, rule, boundary, "flask", "", "newest", minimum)
        limit = profile.limit_for(check)
        return limit.runtimes if limit else None

    sca = claim(ClaimKind.CAPABILITY, "sca")
    assert runtimes_of(sca, "sca") == "newest"
    assert runtimes_of(note, "sca") == "all"
    assert runtimes_of(note, "threat-detection") is None


def test_an_unknown_profile_suggests_one() -> None:
    with pytest.raises(UsageError, match="documented"):
        planned(page(), "documentd")


def test_a_promise_of_absence_is_turned_around() -> None:
    denied = [
        claim(ClaimKind.CAPABILITY, "sca", status=Status.NOT_SUPPORTED),
        claim(ClaimKind.NOTE, "flask-query-string", status=Status.NOT_SUPPORTED),
        claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0"),
    ]
    turned = {part.claim: part.expects_absent for part in planned(denied).parts}
    assert turned == {
        "page.md/capability/sca": True,
        "page.md/note/flask-query-string": True,
        "page.md/capability/threat-detection": False,
    }


def test_an_absence_in_one_framework_is_compared_with_one_that_has_it() -> None:
    parts = parts_of(planned(page()), "note/flask-query-string")
    assert parts
    for part in parts:
        minimum, (control,) = part.minimum, part.controls
        assert (minimum.framework, control.framework) == ("flask", "django")
        assert (minimum.python, minimum.ddtrace) == (control.python, control.ddtrace)


def test_runtimes_are_those_of_the_target() -> None:
    claims = [
        claim(ClaimKind.CAPABILITY, "sca", ">=1.9.0"),
        runtime("==3.9.*"),
        runtime("==3.6.*", os="windows"),
        runtime("==3.7.*", ">=2"),
    ]
    parts = parts_of(planned(claims), "capability/sca")
    pythons = {part.minimum.python for part in parts if part.minimum.ddtrace < "2"}
    assert pythons == {"3.9"}


def test_a_single_release_is_tested_once() -> None:
    tracer = Releases(world().project("ddtrace"))
    assert [end.minimum.text for end in branch_ranges(tracer, [], "==1.9.0")] == ["1.9.0"]


def test_branches_that_do_not_meet_the_specifier_leave_it_to_itself() -> None:
    tracer = Releases(world().project("ddtrace"))
    ends = branch_ranges(tracer, ["<1"], ">=2,<3")
    assert [end.minimum.text for end in ends] == ["2.0.0", "2.21.12"]
    assert [release.text for release in ends[0].controls] == ["2.21.12", "2.6.0", "2.5.6"]


def test_a_pre_release_is_the_newest_release_only_where_it_is_asked_for_and_none_is_newer() -> None:
    project = world().project("ddtrace")
    assert Releases(project, pre=True).all[-1].text == "3.0.0"
    pres = [
        dataclasses.replace(project.releases[0], version=text) for text in ("3.1.0rc1", "3.1.0rc2")
    ]
    newer = dataclasses.replace(project, releases=(*project.releases, *pres))
    finals = [release.text for release in Releases(newer).all]
    assert [release.text for release in Releases(newer, pre=True).all] == [*finals, "3.1.0rc2"]
    assert finals[-1] == "3.0.0"
