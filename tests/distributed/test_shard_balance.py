"""Shards of a plan: every cell once, with its group, balanced, and always the same."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
from helpers.shard_plan_fixture import DIGEST, TARGETS, one_each, plans, small_plan
from helpers.target_fixture import wide_plan
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.distributed.durations import Durations
from matrix.distributed.github import RunnerLabel
from matrix.distributed.manifest import MAX_SHARDS, Manifest, Shard, check_manifest
from matrix.distributed.shards import (
    balance,
    distribute_shards,
    group_cells,
    imbalance,
    make_shards,
    shards_for_minutes,
)
from matrix.errors import NothingSelectedError, UsageError
from matrix.model.plan import LackingWheel, Part, Plan

DURATIONS = Durations(9.0, 2.0, 4.0, {"django": 10.0, "flask": 7.0})
RUNNERS = {
    target: RunnerLabel("machine", "docker", "x64", 2) for target in (*TARGETS, "linux_i686")
}


def shards_of(plan: Plan, count: int | None = None, minutes: float = 20.0) -> tuple[Shard, ...]:
    return make_shards(plan, RUNNERS, DURATIONS, count=count, minutes=minutes)


def shuffled(plan: Plan, seed: int) -> Plan:
    """Return the plan with its parts, cells and controls in another order."""
    order = random.Random(seed)  # noqa: S311 - an order, no secret

    def mixed(part: Part) -> Part:
        return dataclasses.replace(
            part, controls=tuple(order.sample(part.controls, k=len(part.controls)))
        )

    return dataclasses.replace(
        plan,
        parts=tuple(mixed(part) for part in order.sample(plan.parts, k=len(plan.parts))),
        cells=tuple(order.sample(plan.cells, k=len(plan.cells))),
        fallbacks=tuple(order.sample(plan.fallbacks, k=len(plan.fallbacks))),
    )


def contents(shards: tuple[Shard, ...]) -> list[tuple[object, ...]]:
    return [(s.name, s.target, set(s.cells), set(s.reserve), s.seconds) for s in shards]


@settings(max_examples=50)
@given(plans(), st.none() | st.integers(len(TARGETS), MAX_SHARDS), st.floats(0.05, 60))
def test_each_cell_is_in_one_shard_with_all_it_is_compared_with(
    plan: Plan, count: int | None, minutes: float
) -> None:
    if not plan.cells:
        with pytest.raises(NothingSelectedError):
            shards_of(plan, count)
        return
    shards = shards_of(plan, count, minutes)
    # The check of a manifest that is read.
    check_manifest(Manifest(plan, shards, DIGEST, ""))
    assert len(shards) <= (count or MAX_SHARDS)
    assert all(shard.cells or shard.reserve for shard in shards)
    estimates = {item.cell.id: DURATIONS.estimate(item) for item in plan.cells}
    for shard in shards:
        assert shard.seconds == pytest.approx(sum(estimates[cell] for cell in shard.cells), abs=0.1)


@settings(max_examples=50)
@given(plans(), st.integers(0, 99), st.integers(3, 9))
def test_the_order_of_the_plan_changes_no_shard(plan: Plan, seed: int, count: int) -> None:
    if plan.cells:
        assert contents(shards_of(plan, count)) == contents(shards_of(shuffled(plan, seed), count))


def test_a_control_from_the_side_keeps_the_cells_of_two_targets_in_groups_of_their_own() -> None:
    plan = wide_plan(targets=("linux_x86_64", "linux_i686"))
    beside = tuple(part.minimum for part in plan.parts if part.minimum.target == "linux_x86_64")
    lacking = (LackingWheel("a.whl", "0" * 64, "libddwaf", "i686"),)
    parts = tuple(
        dataclasses.replace(part, beside=beside, lacking=lacking)
        if part.minimum.target == "linux_i686"
        else part
        for part in plan.parts
    )
    aside = dataclasses.replace(plan, parts=parts)
    assert aside != plan
    assert group_cells(aside) == group_cells(plan)
    check_manifest(Manifest(aside, shards_of(aside, 2), DIGEST, ""))


@settings(max_examples=40)
@given(plans())
def test_groups_are_minimal(plan: Plan) -> None:
    groups = group_cells(plan)
    home = {cell: group.name for group in groups for cell in (*group.cells, *group.reserve)}
    assert sorted(home) == sorted(item.cell.id for item in (*plan.cells, *plan.fallbacks))
    # The simplest algorithm: join the sets part by part.
    sets = {cell: {cell} for cell in home}
    for part in plan.parts:
        joined = set().union(*(sets[cell.id] for cell in part.cells))
        for cell in joined:
            sets[cell] = joined
    for cell, name in home.items():
        assert name == min(sets[cell])


loads = st.lists(st.floats(0, 1e4), min_size=1, max_size=60)


@given(loads, st.integers(1, 20))
def test_no_shard_is_longer_than_the_mean_and_the_longest_group(
    seconds: list[float], count: int
) -> None:
    lists = balance([(load, f"{n:03}", load) for n, load in enumerate(seconds)], count)
    assert sorted(load for shard in lists for load in shard) == sorted(seconds)
    longest = max(math.fsum(shard) for shard in lists)
    assert longest <= (math.fsum(seconds) / count + max(seconds)) * (1 + 1e-9)


@given(
    st.dictionaries(
        st.sampled_from("abcdefg"), st.tuples(st.floats(1, 1e5), st.integers(1, 300)), min_size=1
    ),
    st.integers(7, 256),
)
def test_shards_go_where_most_work_is(targets: dict[str, tuple[float, int]], total: int) -> None:
    work = {name: seconds for name, (seconds, _) in targets.items()}
    limits = {name: limit for name, (_, limit) in targets.items()}
    counts = distribute_shards(work, limits, total)
    assert sum(counts.values()) == min(total, sum(limits.values()))
    assert all(1 <= counts[name] <= limits[name] for name in work)
    shortened = [work[name] / (many - 1) for name, many in counts.items() if many > 1]
    waiting = [work[name] / many for name, many in counts.items() if many < limits[name]]
    # Each further shard of a target shortens the longest shards.
    assert not shortened or not waiting or min(shortened) >= max(waiting) * (1 - 1e-9)


def test_the_number_of_shards_follows_the_minutes() -> None:
    assert shards_for_minutes(0, 20, 8) == 1
    assert shards_for_minutes(20 * 60 * 8, 20, 8) == 1
    assert shards_for_minutes(20 * 60 * 8 + 1, 20, 8) == 2
    plan = small_plan(profile="exhaustive")
    total = sum(DURATIONS.estimate(item) for item in plan.cells)
    many = shards_of(plan, minutes=total / 60 / RUNNERS["linux_x86_64"].cells / 4)
    assert len(many) == 4
    assert imbalance([shard.seconds for shard in many]) < 1.3
    assert [shard.name for shard in many] == [f"linux_x86_64-0{n}" for n in range(1, 5)]


def test_never_more_than_can_be_run() -> None:
    plan = wide_plan("exhaustive")
    shards = shards_of(plan, minutes=0.001)
    assert len(shards) == min(MAX_SHARDS, len(group_cells(plan)))
    assert {shard.target for shard in shards} == {item.cell.target for item in plan.cells}


def test_targets_have_shards_of_their_own_the_plans_first_first() -> None:
    plan = wide_plan("exhaustive")
    shards = shards_of(plan, 7)
    assert len(shards) == 7
    assert list(dict.fromkeys(shard.target for shard in shards)) == list(plan.targets)


def test_fewer_shards_than_targets_are_refused_with_the_minimum() -> None:
    plan = wide_plan("exhaustive")
    with pytest.raises(UsageError, match="2 shards are too few for cells of 3 targets") as caught:
        shards_of(plan, 2)
    assert "--shards 3" in caught.value.hint


def test_a_target_without_a_machine_is_reported() -> None:
    with pytest.raises(UsageError, match="'linux_x86_64'; did you mean 'linux_i686'"):
        make_shards(small_plan(), {"linux_i686": RUNNERS["linux_i686"]}, DURATIONS)


def test_a_plan_without_cells_cannot_be_split() -> None:
    empty = dataclasses.replace(small_plan(), cells=(), fallbacks=(), parts=())
    with pytest.raises(NothingSelectedError, match="no cells to distribute"):
        shards_of(empty)


def test_shards_make_a_consistent_manifest() -> None:
    check_manifest(dataclasses.replace(one_each(small_plan()), shards=shards_of(small_plan(), 5)))
