"""Odd pages and dates: each claim gets its answer, and none a wrong one."""

from __future__ import annotations

import dataclasses
import datetime as dt

import pytest
from helpers.planning_fixture import (
    LINUX,
    READ,
    claim,
    left_out_of,
    page,
    parts_of,
    planned,
    reasons,
    runtime,
)

from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import File, Project, ReleaseFiles
from matrix.model.plan import Omission
from matrix.model.reason import Reason
from matrix.planning.select import Selection, select
from matrix.pypi.releases import Releases
from matrix.pypi.tags import wheel_tags

SCA = claim(ClaimKind.CAPABILITY, "sca", ">=1.9.0")


def row(**scope: str) -> Claim:
    whole = claim(ClaimKind.RUNTIME, "cpython", "<2")
    return dataclasses.replace(whole, scope=tuple(scope.items()))


def minimums(plan_claims: list[Claim], claim_id: str) -> set[str]:
    return {part.minimum.id for part in parts_of(planned(plan_claims), claim_id)}


@pytest.mark.parametrize(
    ("tags", "fits"), [("cp39-cp39t", False), ("py37-none", True), ("py310-none", False)]
)
def test_a_wheel_is_for_the_cpythons_that_installers_take_it_for(tags: str, fits: bool) -> None:
    name = f"ddtrace-1.0-{tags}-any.whl"
    file = File(name, "", "0", READ, "", yanked=False, tags=wheel_tags(name))
    release = ReleaseFiles("1.0", READ, yanked=False, requires_python="", files=(file,))
    (tracer,) = Releases(Project("ddtrace", READ, (release,))).all
    assert tracer.has_wheel("3.9", LINUX) is fits
    assert tracer.is_tagged_for("3.9") is fits


def test_a_minimum_that_was_never_released_is_reported_and_the_next_one_tested() -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", ">=1.99.0")])
    tested = {part.minimum.ddtrace for part in plan.parts}
    assert tested == {"2.0.0", "2.21.12", "3.0.0"}
    assert [item for item in plan.omissions if item.reason is Reason.NO_RELEASE] == [
        Omission(
            "page.md/capability/sca",
            "ddtrace 1.99.0",
            Reason.NO_RELEASE,
            "no final release is 1.99.0; tested from the lowest release that exists, 2.0.0",
        )
    ]


def test_a_promise_of_absence_reports_no_missing_release() -> None:
    denied = claim(ClaimKind.CAPABILITY, "sca", ">=1.99.0", status=Status.NOT_SUPPORTED)
    assert Reason.NO_RELEASE not in reasons(planned([denied]), "capability/sca")


@pytest.mark.parametrize("specifier", [">=1.9", "==1.9.*", "<2", ">=1.8.1,<1.9", ">=1.9.0"])
def test_a_minimum_that_is_there_or_not_named_exactly_misses_nothing(specifier: str) -> None:
    plan = planned([claim(ClaimKind.CAPABILITY, "sca", specifier)])
    missing = [item for item in plan.omissions if item.reason is Reason.NO_RELEASE]
    assert bool(missing) == (specifier == ">=1.8.1,<1.9")
    assert plan.parts


@pytest.mark.parametrize("kind", [ClaimKind.CAPABILITY, ClaimKind.FRAMEWORK])
def test_a_version_that_is_none_is_not_taken_for_every_version(kind: ClaimKind) -> None:
    subject = "flask" if kind is ClaimKind.FRAMEWORK else "sca"
    plan = planned([claim(kind, subject, "about 1.9", capability="sca")])
    assert not plan.parts
    assert {item.reason for item in plan.omissions} == {Reason.NO_VERSION}
    plan = planned([row(os="linux", cpu="x86_64", python="three")])
    assert not plan.parts
    assert {item.reason for item in plan.omissions} == {Reason.NO_VERSION}


@pytest.mark.parametrize(
    ("scope", "here"),
    [
        ({}, True),
        ({"os": "linux"}, True),
        ({"cpu": "x86_64"}, True),
        ({"os": "windows"}, False),
        ({"os": "macos"}, False),
        ({"cpu": "aarch64"}, False),
    ],
)
def test_what_a_runtime_row_does_not_name_it_leaves_open(
    scope: dict[str, str], *, here: bool
) -> None:
    about = row(**scope, python="==3.9.*")
    plan = planned([about, SCA])
    assert {part.minimum.id.split("-")[1] for part in plan.parts} == {LINUX}
    assert any(part.claim == about.id for part in plan.parts) == here
    pythons = {part.minimum.id[:5] for part in parts_of(plan, "capability/sca")}
    assert (pythons == {"cp39-"}) == here
    words = {item.subject for item in plan.omissions if item.reason is Reason.PLATFORM_NOT_HERE}
    assert words == (set() if here else set(scope.values()))


@pytest.mark.parametrize("profile", ["smoke", "documented", "exhaustive"])
def test_before_the_first_release_each_claim_reports_that_there_is_none(profile: str) -> None:
    plan = planned(page(), profile, as_of=dt.date(2016, 1, 1))
    assert not plan.cells
    assert not plan.parts
    omissions = left_out_of(plan, "capability/threat-detection")
    assert [(item.subject, item.reason, item.detail) for item in omissions] == [
        ("ddtrace >=1.9.0", Reason.NO_RELEASE, "no final release up to 2016-01-01 is >=1.9.0")
    ]
    omissions = left_out_of(plan, "integration/flask/yes")
    assert [(item.subject, item.detail) for item in omissions] == [
        ("ddtrace", "no final release up to 2016-01-01")
    ]
    assert {item.claim for item in plan.omissions} == {each.id for each in plan.claims}


def test_a_framework_that_is_not_there_yet_says_up_to_when() -> None:
    claims = [SCA, claim(ClaimKind.FRAMEWORK, "django", ">=4.2", capability="sca")]
    plan = planned(claims, as_of=dt.date(2023, 3, 1))
    assert reasons(plan, "framework/django/sca") == {Reason.NO_RELEASE}
    assert {item.detail for item in left_out_of(plan, "framework/django/sca")} == {
        "no release of django up to 2023-03-01 is >=4.2"
    }


def test_a_page_without_tables_for_runtimes_and_frameworks_is_tested_on_the_samples() -> None:
    cells = minimums([SCA], "capability/sca")
    assert {cell.split("-")[2].rstrip("0123456789.") for cell in cells} == {"django", "flask"}
    assert {cell[:5] for cell in cells if cell.endswith("-ddtrace1.9.0")} == {"cp27-", "cp311"}


def test_no_claims_make_an_empty_plan() -> None:
    plan = planned([])
    assert (plan.claims, plan.parts, plan.cells, plan.omissions) == ((), (), (), ())


def test_claims_that_nothing_can_answer_can_be_selected() -> None:
    plan = planned([*page(), runtime("==3.9.*", os="macos", cpu="arm64")])
    for glob, reason in (
        ("*/branch/*", Reason.NOT_AN_EXPERIMENT),
        ("*/macos/*", Reason.PLATFORM_NOT_HERE),
    ):
        chosen = select(plan, Selection(claims=(glob,)))
        assert chosen.claims
        assert not chosen.cells
        assert {item.reason for item in chosen.omissions} == {reason}
