"""The planning policy, by example, on a world that is small enough to check by hand."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from planning_world import LINUX, READ, claim, page, runtime, world

from matrix.errors import UsageError
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.plan import LeftOut, Part, Plan
from matrix.model.reason import Reason
from matrix.planning import make_plan
from matrix.planning.boundaries import stretches
from matrix.planning.order import in_order
from matrix.planning.shelf import Shelf
from matrix.planning.targets import target_of, wheel_fits


def planned(claims: list[Claim], profile: str = "documented", **options: object) -> Plan:
    return make_plan(claims, world(), profile=profile, targets=(LINUX,), **options)  # type: ignore[arg-type]


def parts_of(plan: Plan, claim_id: str) -> list[Part]:
    return [part for part in plan.parts if part.claim == f"page.md/{claim_id}"]


def left_out_of(plan: Plan, claim_id: str) -> list[LeftOut]:
    return [item for item in plan.left_out if item.claim == f"page.md/{claim_id}"]


def reasons(plan: Plan, claim_id: str) -> set[Reason]:
    return {item.reason for item in left_out_of(plan, claim_id)}


def test_a_capability_is_asked_at_its_boundaries() -> None:
    parts = parts_of(planned(page()), "capability/threat-detection")
    asked = {(part.minimum, part.before, part.controls[0]) for part in parts}
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
    assert asked == {
        (f"{each}-ddtrace1.9.0", f"{each}-ddtrace1.8.3", f"{each}-ddtrace1.20.19")
        for each in environments
    }
    assert {(part.probe, part.channel) for part in parts} == {("threat-detection", "static")}


def test_controls_step_back_to_the_minimums_own_series_and_never_to_the_minimum() -> None:
    part = parts_of(planned(page()), "capability/threat-detection")[0]
    versions = [cell.rpartition("ddtrace")[2] for cell in part.controls]
    assert versions == ["1.20.19", "1.10.3", "1.9.7"]
    plan = planned(page())
    waiting = {each.cell.id for each in plan.fallbacks}
    assert part.controls[0] not in waiting
    assert {part.controls[1], part.controls[2]} <= waiting | {each.cell.id for each in plan.cells}


def test_a_minimum_of_no_branch_is_compared_within_its_major() -> None:
    parts = parts_of(planned(page()), "capability/api-security")
    assert {part.controls[0].rpartition("ddtrace")[2] for part in parts} == {"2.21.12"}
    assert {str(part.before).rpartition("ddtrace")[2] for part in parts} == {"2.5.6"}


def test_runtimes_that_the_page_names_for_other_releases_are_tried_and_it_is_said() -> None:
    plan = planned(page())
    pythons = {part.minimum[:5] for part in parts_of(plan, "capability/api-security")}
    assert pythons == {"cp37-", "cp311"}, "those of the page that have wheels, not 3.12"
    assert Reason.OUTSIDE_CLAIM in reasons(plan, "capability/api-security")
    assert Reason.OUTSIDE_CLAIM not in reasons(plan, "capability/threat-detection")


def test_a_preview_without_a_version_is_asked_at_the_tip_of_each_branch() -> None:
    parts = parts_of(planned(page()), "capability/iast")
    assert {part.minimum.rpartition("ddtrace")[2] for part in parts} == {"0.61.5", "1.20.19"}
    assert {(part.before, part.controls) for part in parts} == {(None, ())}


def test_user_events_run_where_the_authentication_table_says() -> None:
    plan = planned(page())
    whole = {part.minimum.split("-")[2] for part in parts_of(plan, "capability/user-events")}
    assert whole == {"django1.11", "django4.0", "django4.1.7"}
    series = parts_of(plan, "authentication/django/==1.11.*")
    assert {part.minimum.split("-")[2] for part in series} == {"django1.11"}
    assert {part.minimum.rpartition("ddtrace")[2] for part in series} == {"1.10.0"}
    assert {part.minimum[:4] for part in series} == {"cp27", "cp36"}


def test_an_integration_is_asked_at_the_ends_of_each_branch() -> None:
    parts = parts_of(planned(page()), "integration/flask/yes")
    assert {part.minimum.rpartition("ddtrace")[2] for part in parts} == {
        "0.61.5",  # `<1` has no first release
        "1.0.0",
        "1.20.19",
    }
    assert {part.before for part in parts} == {None}
    assert {part.channel for part in parts} == {"request", "error"}


def test_a_database_is_asked_in_a_sample_app() -> None:
    parts = parts_of(planned(page()), "integration/sqlite3/yes")
    assert {part.probe for part in parts} == {"db-api"}
    assert all("-flask" in part.minimum for part in parts)


@pytest.mark.parametrize("profile", ["documented", "exhaustive"])
def test_a_runtime_is_asked_itself(profile: str) -> None:
    plan = planned(page(), profile)
    parts = parts_of(plan, "runtime/cpython/linux/x86_64/==3.8.*/<2")
    assert {part.minimum for part in parts} == {
        "cp38-linux_x86_64-flask2.0.3-ddtrace1.0.0",
        "cp38-linux_x86_64-flask2.0.3-ddtrace0.61.5",
        "cp38-linux_x86_64-flask3.0.0-ddtrace1.20.19",
    }


def test_a_runtime_without_a_wheel_is_left_out_with_its_release() -> None:
    plan = planned(page())
    missing = left_out_of(plan, "runtime/cpython/linux/x86_64/==3.11.*/<2")
    assert {(item.reason, item.detail) for item in missing} == {
        (Reason.NO_WHEEL, "ddtrace 0.61.5 has no wheel for CPython 3.11 on linux_x86_64"),
        (Reason.NO_WHEEL, "ddtrace 1.0.0 has no wheel for CPython 3.11 on linux_x86_64"),
    }
    assert parts_of(plan, "runtime/cpython/linux/x86_64/==3.11.*/<2"), "1.20.19 has one"


def test_a_musllinux_wheel_is_none_for_glibc() -> None:
    plan = planned([runtime("==3.4.*")])
    assert not plan.parts
    assert {item.reason for item in plan.left_out} == {Reason.NO_WHEEL}


def test_an_open_range_stands_for_the_cpythons_of_each_release() -> None:
    plan = planned([runtime(">=3.7", ">=2"), claim(ClaimKind.BRANCH, "ddtrace", ">=2.0")])
    of_release: dict[str, set[str]] = {}
    for part in plan.parts:
        python, _, rest = part.minimum.partition("-")
        of_release.setdefault(rest.rpartition("ddtrace")[2], set()).add(python)
    assert of_release == {
        "2.0.0": {"cp37", "cp38", "cp39", "cp310", "cp311", "cp312"},
        "3.0.0": {"cp38", "cp39", "cp310", "cp311", "cp312", "cp313"},
    }
    assert {(item.what, item.reason) for item in plan.left_out} == {
        ("CPython 3.13 with ddtrace 2.0.0", Reason.OUTSIDE_CLAIM),
        # The page names 3.7, so that it is missed where a release in the range has no wheel for it.
        ("CPython 3.7, flask (newest) with ddtrace 3.0.0", Reason.NO_WHEEL),
        ("CPython 3.7, flask 2.2.5, ddtrace 3.0.0", Reason.NO_WHEEL),
        ("branch ddtrace", Reason.NOT_AN_EXPERIMENT),
    }


def test_other_platforms_are_left_out_and_targets_bring_them_in() -> None:
    elsewhere = "runtime/cpython/windows/x86_64/==3.8.*/<2"
    plan = planned(page())
    assert reasons(plan, elsewhere) == {Reason.PLATFORM_NOT_HERE}
    assert not parts_of(plan, elsewhere)
    there = make_plan(page(), world(), targets=("win_amd64",))
    assert {part.minimum.split("-")[1] for part in there.parts} == {"win_amd64"}
    assert parts_of(there, elsewhere)


@pytest.mark.parametrize(
    ("claim_id", "reason"),
    [
        ("deployment/threat-detection/docker", Reason.DEPLOYMENT_NOT_HERE),
        ("branch/ddtrace/<1", Reason.NOT_AN_EXPERIMENT),
        ("note/account-takeover", Reason.NOT_AN_EXPERIMENT),
        ("integration/fastapi/yes", Reason.NO_PROBE),
        ("capability/profiling", Reason.NO_PROBE),
    ],
)
def test_what_no_experiment_answers_says_why(claim_id: str, reason: Reason) -> None:
    plan = planned(page())
    assert reasons(plan, claim_id) == {reason}
    assert not parts_of(plan, claim_id)


def test_pruned_runtimes_say_why() -> None:
    plan = planned(page())
    found = left_out_of(plan, "framework/django/threat-detection")
    assert {item.reason for item in found} == {Reason.FRAMEWORK_PYTHON, Reason.NOT_IN_PROFILE}
    assert (
        LeftOut(
            "page.md/framework/django/threat-detection",
            "CPython 3.9, django >=1.8 (lowest) with ddtrace 1.9.0",
            Reason.FRAMEWORK_PYTHON,
            "django 1.8 does not run on CPython 3.9",
        )
        in found
    )


def test_a_framework_younger_than_the_tracer_is_left_out() -> None:
    claims = [*page(), claim(ClaimKind.FRAMEWORK, "django", ">=4.2", capability="threat-detection")]
    claims = [each for each in claims if each.specifier != ">=1.8"]
    plan = planned(claims)
    assert not parts_of(plan, "framework/django/threat-detection")
    assert reasons(plan, "framework/django/threat-detection") == {Reason.FRAMEWORK_ERA}


def test_a_version_that_was_never_released_is_left_out() -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", ">=9.0")])
    assert [item.reason for item in plan.left_out] == [Reason.NO_RELEASE]


def test_the_exhaustive_profile_leaves_no_runtime_out() -> None:
    plan = planned(page(), "exhaustive")
    assert Reason.NOT_IN_PROFILE not in {item.reason for item in plan.left_out}
    pythons = {
        part.minimum[:5].rstrip("-")
        for part in parts_of(plan, "capability/threat-detection")
        if "flask0.10-" in part.minimum
    }
    assert pythons == {"cp27", "cp35", "cp36", "cp37", "cp38", "cp39", "cp310", "cp311"}


def test_the_smoke_profile_is_six_cells_at_most() -> None:
    plan = planned(page(), "smoke")
    assert 0 < len(plan.cells) <= 6
    assert {part.claim for part in plan.parts} == {
        "page.md/capability/threat-detection",
        "page.md/capability/threat-protection",
    }
    assert {each.cell.framework for each in plan.cells} == {"flask"}
    assert {each.cell.python for each in plan.cells} == {"3.11"}


def test_an_unknown_profile_suggests_one() -> None:
    with pytest.raises(UsageError, match="documented"):
        planned(page(), "documentd")


def test_a_promise_of_absence_is_turned_around() -> None:
    denied = [
        claim(ClaimKind.CAPABILITY, "sca", status=Status.NOT_SUPPORTED),
        claim(ClaimKind.NOTE, "flask-query-string"),
        claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0"),
    ]
    turned = {part.claim: part.holds_without for part in planned(denied).parts}
    assert turned == {
        "page.md/capability/sca": True,
        "page.md/note/flask-query-string": True,
        "page.md/capability/threat-detection": False,
    }


def test_dependencies_are_of_the_era_of_both_releases() -> None:
    dates = {each.cell.id: each.as_of for each in planned(page()).cells}
    assert dates["cp311-linux_x86_64-flask2.2.3-ddtrace1.9.0"] == dt.date(2023, 2, 28)
    # 1.10.0 is of March, and what is compared with it, 1.9.7, came in May.
    assert dates["cp311-linux_x86_64-flask2.2.3-ddtrace1.9.7"] == dt.date(2023, 5, 20)
    # 2.5.6 came after 2.6.0; a framework may be younger than the release before the minimum too.
    assert all(date > dt.date(2022, 6, 1) for cell, date in dates.items() if "0.61.5" in cell)


def test_a_framework_may_be_younger_than_the_release_before() -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0")], "exhaustive")
    dates = {each.cell.id: each.as_of for each in plan.cells}
    assert dates["cp310-linux_x86_64-flask2.2.0-ddtrace1.0.0"] == dt.date(2022, 8, 2)


def test_a_release_before_that_has_no_wheel_is_left_out_and_the_rest_asked() -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0")])
    newest = [part for part in plan.parts if part.minimum.startswith("cp311")]
    assert {part.before for part in newest} == {None}
    assert "CPython 3.11, flask 2.2.0, ddtrace 1.0.0" in {item.what for item in plan.left_out}
    oldest = [part for part in plan.parts if part.minimum.startswith("cp27")]
    assert all(part.before and part.before.endswith("ddtrace1.0.0") for part in oldest)


def test_runtimes_are_those_of_the_target() -> None:
    claims = [
        claim(ClaimKind.CAPABILITY, "sca", ">=1.9.0"),
        runtime("==3.9.*"),
        runtime("==3.6.*", os="windows"),
        runtime("==3.7.*", ">=2"),
    ]
    parts = parts_of(planned(claims), "capability/sca")
    assert {part.minimum[:5] for part in parts} == {"cp39-"}


def test_without_a_runtime_it_is_said_whose_lack_that_is() -> None:
    sca = claim(ClaimKind.CAPABILITY, "sca", ">=2.6.0")
    named = planned([sca, runtime("==2.7.*")])
    assert reasons(named, "capability/sca") == {Reason.NO_RUNTIME, Reason.OUTSIDE_CLAIM}
    elsewhere = make_plan([sca], world(), targets=("macosx_arm64",))
    assert reasons(elsewhere, "capability/sca") == {Reason.NO_WHEEL}
    assert not parts_of(named, "capability/sca")
    assert not elsewhere.parts


def test_a_single_release_is_asked_once() -> None:
    shelf = Shelf(world().project("ddtrace"))
    assert [each.minimum.text for each in stretches(shelf, [], "==1.9.0")] == ["1.9.0"]


def test_a_yanked_file_is_no_wheel() -> None:
    project = world().project("ddtrace")
    release = next(each for each in project.releases if each.version == "1.9.0")
    files = [
        dataclasses.replace(file, yanked="cp39-cp39-many" in file.filename)
        for file in release.files
    ]
    half = dataclasses.replace(release, files=tuple(files))
    title = Shelf(dataclasses.replace(project, releases=(half,))).titles[0]
    assert not title.has_wheel("3.9", LINUX)
    assert title.has_wheel("3.10", LINUX)
    assert "3.9" not in title.pythons(LINUX)


def test_verdicts_fall_early() -> None:
    """Cheap claims first, capabilities among equals, integrations and runtimes last."""
    kinds = {each.id: each.kind for each in page()}
    order = list(dict.fromkeys(part.claim for part in planned(page()).parts))
    late = [kinds[each] in (ClaimKind.INTEGRATION, ClaimKind.RUNTIME) for each in order]
    assert late == sorted(late)
    assert True in late
    costs = {"capability": 2, "note": 2, "framework": 1, "runtime": 1}
    claims = [claim(ClaimKind(kind), "x" if kind == "note" else "y") for kind in reversed(costs)]
    parts = [
        Part(each.id, "probe", "channel", f"{each.id}-{number}", None, ())
        for each in claims
        for number in range(costs[each.kind.value])
    ]
    found = list(dict.fromkeys(part.claim.split("/")[1] for part in in_order(claims, parts)))
    assert found == ["framework", "capability", "note", "runtime"]


def test_a_date_of_ones_own_is_part_of_the_cell_and_hides_what_came_later() -> None:
    plan = planned(page(), as_of=dt.date(2023, 6, 1))
    assert {each.as_of for each in plan.cells} == {dt.date(2023, 6, 1)}
    assert all(each.cell.id.endswith("-asof20230601") for each in plan.cells)
    versions = {each.cell.ddtrace for each in (*plan.cells, *plan.fallbacks)}
    assert "1.10.3" in versions
    assert "1.20.19" not in versions
    part = parts_of(plan, "capability/threat-detection")[0]
    assert "ddtrace1.10.3" in part.controls[0]
    newest = {part.minimum.split("-")[2] for part in parts_of(plan, "capability/threat-detection")}
    assert {"django4.2", "flask2.2.5"} <= newest, "what an install on that day would get"


def test_equal_facts_of_two_pages_share_their_cells() -> None:
    capability = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0")
    again = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0", document="other.md")
    assert {each.cell.id for each in planned([capability, again]).cells} == {
        each.cell.id for each in planned([capability]).cells
    }


def test_a_cell_carries_what_every_claim_wants_of_it() -> None:
    by_id = {each.cell.id: each for each in planned(page()).cells}
    shared = by_id["cp27-linux_x86_64-flask1.1.4-ddtrace1.9.0"]
    assert {"threat-detection", "flask-query-string", "web-tracing"} <= set(shared.probes)
    assert "threat-detection" in shared.decisive
    assert shared.soak
    before = by_id["cp311-linux_x86_64-flask2.2.3-ddtrace1.8.3"]
    assert "threat-detection" in before.probes
    assert "threat-detection" not in before.decisive
    assert not before.soak


def test_the_snapshot_is_the_oldest_answer_of_the_index() -> None:
    assert planned(page()).snapshot == READ - dt.timedelta(hours=1)


def test_branches_that_do_not_meet_the_specifier_leave_it_to_itself() -> None:
    shelf = Shelf(world().project("ddtrace"))
    ends = stretches(shelf, ["<1"], ">=2,<3")
    assert [each.minimum.text for each in ends] == ["2.0.0", "2.21.12"]
    assert [each.text for each in ends[0].controls] == ["2.21.12", "2.6.0", "2.5.6"]


@pytest.mark.parametrize(
    ("tags", "target", "fits"),
    [
        ("manylinux2014_x86_64.manylinux_2_17_x86_64", "linux_x86_64", True),
        ("manylinux_2_12_i686.manylinux2010_i686", "linux_x86_64", False),
        ("manylinux_2_12_i686.manylinux2010_i686", "linux_i686", True),
        ("manylinux1_x86_64", "linux_x86_64", True),
        ("musllinux_1_1_x86_64", "linux_x86_64", False),
        ("manylinux2014_aarch64", "linux_aarch64", True),
        ("macosx_12_0_arm64", "macosx_arm64", True),
        ("macosx_11_0_universal2", "macosx_arm64", True),
        ("macosx_10_9_x86_64", "macosx_arm64", False),
        ("win_amd64", "win_amd64", True),
        ("win32", "win_amd64", False),
        ("any", "win32", True),
    ],
)
def test_platform_tags(tags: str, target: str, *, fits: bool) -> None:
    assert wheel_fits(tags, target) is fits


@pytest.mark.parametrize(
    ("os", "cpu", "target"),
    [
        ("linux", "x86_64", "linux_x86_64"),
        ("linux", "i686", "linux_i686"),
        ("linux", "aarch64", "linux_aarch64"),
        ("macos", "x86_64", "macosx_x86_64"),
        ("macos", "arm64", "macosx_arm64"),
        ("windows", "x86_64", "win_amd64"),
        ("windows", "x86", "win32"),
    ],
)
def test_targets_of_claims(os: str, cpu: str, target: str) -> None:
    assert target_of(runtime("==3.9.*", os=os, cpu=cpu)) == target
