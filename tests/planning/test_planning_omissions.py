"""Omissions: releases that cannot exist or cannot be tested, each with its reason."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.planning_fixture import (
    LINUX,
    claim,
    left_out_of,
    page,
    parts_of,
    planned,
    reasons,
    runtime,
    world,
)

from matrix.interpreters.targets import claimed_target, wheel_fits
from matrix.model.claim import ClaimKind
from matrix.model.plan import Omission
from matrix.model.reason import Reason
from matrix.planning.planner import make_plan
from matrix.pypi.releases import Releases


def test_runtimes_that_the_page_names_for_other_releases_are_tested_with_a_remark() -> None:
    plan = planned(page())
    pythons = {part.minimum.id[:5] for part in parts_of(plan, "capability/api-security")}
    assert pythons == {"cp37-", "cp311"}, "those of the page that have wheels, not 3.12"
    assert Reason.OUTSIDE_CLAIM in reasons(plan, "capability/api-security")
    assert Reason.OUTSIDE_CLAIM not in reasons(plan, "capability/threat-detection")


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
    assert {item.reason for item in plan.omissions} == {Reason.NO_WHEEL}


def test_an_open_range_stands_for_the_cpythons_of_each_release() -> None:
    plan = planned([runtime(">=3.7", ">=2"), claim(ClaimKind.BRANCH, "ddtrace", ">=2.0")])
    of_release: dict[str, set[str]] = {}
    for part in plan.parts:
        python, _, rest = part.minimum.id.partition("-")
        of_release.setdefault(rest.rpartition("ddtrace")[2], set()).add(python)
    assert of_release == {
        "2.0.0": {"cp37", "cp38", "cp39", "cp310", "cp311", "cp312"},
        "3.0.0": {"cp38", "cp39", "cp310", "cp311", "cp312", "cp313"},
    }
    assert {(item.subject, item.reason) for item in plan.omissions} == {
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
    windows = make_plan(page(), world(), targets=("win_amd64",))
    assert {part.minimum.id.split("-")[1] for part in windows.parts} == {"win_amd64"}
    assert parts_of(windows, elsewhere)


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
    omissions = left_out_of(plan, "framework/django/threat-detection")
    assert {item.reason for item in omissions} == {
        Reason.FRAMEWORK_PYTHON,
        Reason.BETWEEN_BOUNDARIES,
    }
    smoke = planned(page(), "smoke")
    assert reasons(smoke, "capability/threat-detection") == {Reason.NOT_IN_PROFILE}
    assert (
        Omission(
            "page.md/framework/django/threat-detection",
            "CPython 3.9, django >=1.8 (lowest) with ddtrace 1.9.0",
            Reason.FRAMEWORK_PYTHON,
            "django 1.8 does not run on CPython 3.9",
        )
        in omissions
    )


def test_a_framework_younger_than_the_tracer_is_left_out() -> None:
    claims = [*page(), claim(ClaimKind.FRAMEWORK, "django", ">=4.2", capability="threat-detection")]
    claims = [each for each in claims if each.specifier != ">=1.8"]
    plan = planned(claims)
    parts = parts_of(plan, "framework/django/threat-detection")
    assert {part.minimum.ddtrace for part in parts} == {"1.20.19"}
    assert Reason.FRAMEWORK_ERA in reasons(plan, "framework/django/threat-detection")


def test_a_version_that_was_never_released_is_left_out() -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", ">=9.0")])
    assert [item.reason for item in plan.omissions] == [Reason.NO_RELEASE]


def test_a_release_before_that_has_no_wheel_is_left_out_alone() -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0")])
    newest = [part for part in plan.parts if part.minimum.id.startswith("cp311")]
    assert {part.before for part in newest} == {None}
    assert "CPython 3.11, flask 2.2.0, ddtrace 1.0.0" in {item.subject for item in plan.omissions}
    oldest = [part for part in plan.parts if part.minimum.id.startswith("cp27")]
    oldest = [part for part in oldest if part.minimum.ddtrace == "1.8.0"]
    assert oldest
    assert all(part.before and part.before.id.endswith("ddtrace1.0.0") for part in oldest)


def test_databases_that_the_probe_has_not_are_left_out_by_name() -> None:
    named = claim(ClaimKind.NOTE, "db-api", note="sqlite, oracle, db2")
    plan = planned([*page(), named])
    omissions = left_out_of(plan, "note/db-api/sqlite, oracle, db2")
    assert [item.subject for item in omissions if item.reason is Reason.NO_BACK_END] == [
        "db-api with oracle",
        "db-api with db2",
    ]
    assert parts_of(plan, "note/db-api/sqlite, oracle, db2"), "sqlite is tested all the same"


def test_without_any_of_its_databases_a_promise_is_not_tested() -> None:
    plan = planned([*page(), claim(ClaimKind.NOTE, "db-api", note="oracle")])
    assert reasons(plan, "note/db-api/oracle") == {Reason.NO_BACK_END}
    assert not parts_of(plan, "note/db-api/oracle")


def test_a_missing_runtime_names_the_page_or_the_wheel_as_its_reason() -> None:
    sca = claim(ClaimKind.CAPABILITY, "sca", ">=2.6.0")
    named = planned([sca, runtime("==2.7.*")])
    assert reasons(named, "capability/sca") == {Reason.NO_RUNTIME, Reason.OUTSIDE_CLAIM}
    elsewhere = make_plan([sca], world(), targets=("macosx_arm64",))
    assert reasons(elsewhere, "capability/sca") == {Reason.NO_WHEEL}
    assert not parts_of(named, "capability/sca")
    assert not elsewhere.parts


def test_a_yanked_file_is_no_wheel() -> None:
    project = world().project("ddtrace")
    release = next(each for each in project.releases if each.version == "1.9.0")
    files = [
        dataclasses.replace(file, yanked="cp39-cp39-many" in file.filename)
        for file in release.files
    ]
    half = dataclasses.replace(release, files=tuple(files))
    tracer = Releases(dataclasses.replace(project, releases=(half,))).all[0]
    assert not tracer.has_wheel("3.9", LINUX)
    assert tracer.has_wheel("3.10", LINUX)
    assert "3.9" not in tracer.pythons(LINUX)


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
    assert claimed_target(runtime("==3.9.*", os=os, cpu=cpu)) == target
