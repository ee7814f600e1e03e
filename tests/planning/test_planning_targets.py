"""Plans for several targets: the claims of each, their order, and the omissions."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.planning_fixture import FakeIndex, claim, parts_of, reasons, runtime, world
from helpers.target_fixture import ARM, DOCKER, I686, NO_ARM, THREE, X86, wide_index, wide_plan

from matrix.docker.interface import EngineInfo
from matrix.errors import EngineUnavailableError, UsageError
from matrix.interpreters.inspect import host_target
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.claim import ClaimKind
from matrix.model.fact import text_facts
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome
from matrix.planning.locations import all_engine_targets, engine_targets, local_targets
from matrix.planning.planner import make_plan
from matrix.planning.select import Selection, select
from matrix.pypi.tags import wheel_tags


def targets_of(plan: Plan, claim_id: str) -> set[str]:
    return {part.minimum.id.split("-")[1] for part in parts_of(plan, claim_id)}


def test_a_promise_without_a_cpu_is_tested_on_the_first_target_only() -> None:
    plan = wide_plan()
    assert targets_of(plan, "capability/threat-detection") == {X86}
    omissions = {(item.subject, item.reason) for item in plan.omissions if item.subject in THREE}
    assert {(I686, Reason.ONE_PLATFORM), (ARM, Reason.ONE_PLATFORM)} <= omissions
    shown = FindingTable(
        Finding(part.minimum, part.probe, part.channel, Observed.PRESENT, text_facts("Seen."))
        for part in plan.parts
    )
    verdicts = {item.claim: item for item in judge(plan, shown)}
    assert verdicts["page.md/framework/django/threat-detection"].outcome is Outcome.CONFIRMED


def test_a_promise_about_a_cpu_is_tested_there_in_every_profile() -> None:
    for profile in ("documented", "exhaustive"):
        plan = wide_plan(profile)
        assert targets_of(plan, "runtime/cpython/linux/i686/==3.8.*/<2") == {I686}
        assert targets_of(plan, "runtime/cpython/linux/x86_64/==3.8.*/<2") == {X86}


@pytest.mark.parametrize("profile", ["smoke", "exhaustive"])
def test_some_profiles_test_every_target(profile: str) -> None:
    plan = wide_plan(profile)
    assert targets_of(plan, "capability/threat-detection") == set(THREE)
    assert Reason.ONE_PLATFORM not in {item.reason for item in plan.omissions}


def test_a_release_without_a_wheel_for_a_target_says_so() -> None:
    plan = wide_plan()
    arm = "runtime/cpython/linux/aarch64/==2.7.*/<2"
    assert reasons(plan, arm) == {Reason.NO_WHEEL}
    assert not parts_of(plan, arm)


def test_cells_of_the_first_target_come_first_also_in_a_selection() -> None:
    plan = wide_plan("smoke")
    chosen = select(plan, Selection(capabilities=("threat-*",)))
    for each in (plan, chosen):
        order = [THREE.index(item.cell.target) for item in each.cells]
        assert order == sorted(order)
        assert set(order) == {0, 1, 2}


def test_one_target_gives_the_plan_that_it_gave_alone() -> None:
    assert wide_plan(targets=(X86,)).cells == tuple(
        item for item in wide_plan().cells if item.cell.target == X86
    )


def test_an_engine_plans_what_it_runs_natives_first() -> None:
    where = engine_targets(DOCKER)
    assert where.targets == THREE
    assert where.emulated == {ARM}
    arm = EngineInfo("Docker 28", "linux/arm64", ("linux/arm64", "linux/amd64"), True, 8, 2**33)
    assert engine_targets(arm).targets == (ARM, X86)
    assert engine_targets(arm).emulated == {X86}


def test_what_an_engine_cannot_run_is_left_out_with_its_words() -> None:
    where = engine_targets(NO_ARM)
    plan = make_plan(
        [runtime("==3.8.*", cpu="aarch64")],
        wide_index(),
        targets=where.targets,
        obstacles=where.obstacles,
    )
    (omission,) = plan.omissions
    assert omission.reason is Reason.PLATFORM_NOT_HERE
    assert "Docker 20.10.24 runs linux/amd64, linux/386 here" in omission.detail


@pytest.mark.parametrize("glob", ["linux_i686", "386", "linux/386", "*i686"])
def test_targets_are_selected_by_any_of_their_names(glob: str) -> None:
    where = engine_targets(DOCKER, [glob])
    assert where.targets == (I686,)
    plan = make_plan(
        [runtime("==3.8.*")], wide_index(), targets=where.targets, obstacles=where.obstacles
    )
    assert {item.reason for item in plan.omissions} == {Reason.NOT_SELECTED}


def test_nothing_is_planned_for_a_target_that_nothing_is_chosen_for() -> None:
    plan = make_plan([claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0")], wide_index(), targets=())
    assert not plan.cells
    assert {item.reason for item in plan.omissions} == {Reason.PLATFORM_NOT_HERE}


def test_an_unknown_target_is_a_usage_error_with_the_nearest() -> None:
    for place in (lambda globs: engine_targets(DOCKER, globs), all_engine_targets, local_targets):
        with pytest.raises(UsageError, match="did you mean 'linux_aarch64'"):
            place(["linux_arch64"])


def test_a_target_that_cannot_be_run_at_all_is_an_error() -> None:
    with pytest.raises(EngineUnavailableError, match="linux_aarch64"):
        engine_targets(NO_ARM, ["arm64"])
    with pytest.raises(UsageError, match="runs no cell for linux_i686"):
        local_targets(["386"], host=X86)
    assert local_targets(["amd64"], host=X86).targets == (X86,)


def test_windows_of_64_bits_runs_cells_of_32_bits_where_selected() -> None:
    assert local_targets(host="win_amd64").targets == ("win_amd64",)
    assert local_targets(["win32"], host="win_amd64").targets == ("win32",)
    assert local_targets(["win*"], host="win_amd64").targets == ("win_amd64", "win32")
    assert local_targets(host="win32").targets == ("win32",)
    with pytest.raises(UsageError, match="unknown target 'win_amd64'"):
        local_targets(["win_amd64"], host="win32")


@pytest.mark.parametrize(
    ("platform", "machine", "bits", "target"),
    [
        ("win32", "AMD64", 32, "win32"),
        ("win-amd64", "AMD64", 64, "win_amd64"),
        ("win-arm64", "ARM64", 64, "win_arm64"),
        ("macosx-10.13-universal2", "arm64", 64, "macosx_arm64"),
        ("macosx-10.13-universal2", "x86_64", 64, "macosx_x86_64"),
        ("linux-x86_64", "x86_64", 32, "linux_i686"),
    ],
)
def test_this_machine_is_what_the_python_is_that_runs_us(
    platform: str, machine: str, bits: int, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_platform", lambda: platform)
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("struct.calcsize", lambda _: bits // 8)
    assert host_target() == target


def test_all_that_an_engine_could_run_is_planned_without_one() -> None:
    assert all_engine_targets().targets == THREE
    assert all_engine_targets(["arm64", "386"]).targets == (I686, ARM)


@pytest.mark.parametrize("target", [X86, "macosx_arm64", "win_amd64", "win32"])
def test_a_cell_is_read_back_by_its_id_for_every_target(target: str) -> None:
    for framework in ("django", "jinja2", "x2y-z"):
        cell = Cell("3.8", target, framework, "2.1.1", "1.0.0")
        assert Cell.parse(cell.id) == cell


def test_a_plan_for_windows_has_cells_of_32_bits() -> None:
    plan = make_plan(
        [claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.9.0"), runtime("==3.9.*")],
        on_32_bits(),
        targets=(X86, "win32"),
        profile="exhaustive",
    )
    assert {Cell.parse(each.cell.id).target for each in plan.cells} == {X86, "win32"}


def on_32_bits() -> FakeIndex:
    """Return the small world, where all wheels for Windows are for its 32 bits."""
    index = world()
    tracer = index.projects["ddtrace"]
    releases = tuple(
        dataclasses.replace(
            release,
            files=tuple(
                dataclasses.replace(
                    file,
                    filename=(name := file.filename.replace("win_amd64", "win32")),
                    tags=wheel_tags(name) or file.tags,
                )
                for file in release.files
            ),
        )
        for release in tracer.releases
    )
    index.projects["ddtrace"] = dataclasses.replace(tracer, releases=releases)
    return index
