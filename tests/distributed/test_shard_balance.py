"""Sharing out: every cell once, nothing torn apart, evenly, and always in the same way."""

from __future__ import annotations

import dataclasses
import math
import random

import pytest
from helpers.shard_plan_fixture import DIGEST, TARGETS, one_each, plans, small_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planning_targets import planned as wide_plan

from matrix.distributed.durations import Durations
from matrix.distributed.github import RunnerLabel
from matrix.distributed.manifest import MOST_SHARDS, Manifest, Shard, check
from matrix.distributed.shards import (
    balanced,
    groups_of,
    imbalance,
    shards_for_minutes,
    shards_of,
    shared_number,
)
from matrix.errors import NothingSelectedError, UsageError
from matrix.model.plan import Part, Plan

DURATIONS = Durations(9.0, 2.0, 4.0, {"django": 10.0, "flask": 7.0})
RUNNERS = {
    target: RunnerLabel("machine", "docker", "x64", 2) for target in (*TARGETS, "linux_i686")
}


def shared(plan: Plan, count: int | None = None, minutes: float = 20.0) -> tuple[Shard, ...]:
    return shards_of(plan, RUNNERS, DURATIONS, count=count, minutes=minutes)


def shuffled(plan: Plan, seed: int) -> Plan:
    """Return the plan with everything in another order."""
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
@given(plans(), st.none() | st.integers(len(TARGETS), MOST_SHARDS), st.floats(0.05, 60))
def test_each_cell_is_in_one_shard_with_all_it_is_compared_with(
    plan: Plan, count: int | None, minutes: float
) -> None:
    if not plan.cells:
        with pytest.raises(NothingSelectedError):
            shared(plan, count)
        return
    shards = shared(plan, count, minutes)
    # The very check that a manifest has to stand when it is read.
    check(Manifest(plan, shards, DIGEST, ""))
    assert len(shards) <= (count or MOST_SHARDS)
    assert all(shard.cells or shard.reserve for shard in shards)
    takes = {each.cell.id: DURATIONS.of(each) for each in plan.cells}
    for shard in shards:
        assert shard.seconds == pytest.approx(sum(takes[cell] for cell in shard.cells), abs=0.1)


@settings(max_examples=50)
@given(plans(), st.integers(0, 99), st.integers(3, 9))
def test_the_order_of_the_plan_changes_no_shard(plan: Plan, seed: int, count: int) -> None:
    if plan.cells:
        assert contents(shared(plan, count)) == contents(shared(shuffled(plan, seed), count))


@settings(max_examples=40)
@given(plans())
def test_groups_are_the_least_that_hold_together(plan: Plan) -> None:
    groups = groups_of(plan)
    home = {cell: group.name for group in groups for cell in (*group.cells, *group.reserve)}
    assert sorted(home) == sorted(each.cell.id for each in (*plan.cells, *plan.fallbacks))
    # Joined step by step, in the simplest way there is.
    least = {cell: {cell} for cell in home}
    for part in plan.parts:
        joined = set().union(*(least[cell] for cell in part.cells))
        for cell in joined:
            least[cell] = joined
    for cell, name in home.items():
        assert name == min(least[cell])


loads = st.lists(st.floats(0, 1e4), min_size=1, max_size=60)


@given(loads, st.integers(1, 20))
def test_no_shard_is_longer_than_the_mean_and_the_longest_group(
    seconds: list[float], count: int
) -> None:
    lists = balanced([(each, f"{n:03}", each) for n, each in enumerate(seconds)], count)
    assert sorted(each for some in lists for each in some) == sorted(seconds)
    longest = max(math.fsum(some) for some in lists)
    assert longest <= (math.fsum(seconds) / count + max(seconds)) * (1 + 1e-9)


@given(
    st.dictionaries(
        st.sampled_from("abcdefg"),
        st.tuples(st.floats(1, 1e5), st.integers(1, 300)),
        min_size=1,
    ),
    st.integers(7, 256),
)
def test_shards_go_where_there_is_most_to_do(
    told: dict[str, tuple[float, int]], total: int
) -> None:
    work = {name: each[0] for name, each in told.items()}
    most = {name: each[1] for name, each in told.items()}
    counts = shared_number(work, most, total)
    assert sum(counts.values()) == min(total, sum(most.values()))
    assert all(1 <= counts[name] <= most[name] for name in work)
    shortened = [work[name] / (many - 1) for name, many in counts.items() if many > 1]
    waiting = [work[name] / many for name, many in counts.items() if many < most[name]]
    # Each but the first one of a target was better there than anywhere else.
    assert not shortened or not waiting or min(shortened) >= max(waiting) * (1 - 1e-9)


def test_as_many_shards_as_take_the_minutes_asked_for() -> None:
    assert shards_for_minutes(0, 20, 8) == 1
    assert shards_for_minutes(20 * 60 * 8, 20, 8) == 1
    assert shards_for_minutes(20 * 60 * 8 + 1, 20, 8) == 2
    plan = small_plan(profile="exhaustive")
    total = sum(DURATIONS.of(each) for each in plan.cells)
    many = shared(plan, minutes=total / 60 / RUNNERS["linux_x86_64"].cells / 4)
    assert len(many) == 4
    assert imbalance([shard.seconds for shard in many]) < 1.3
    assert [shard.name for shard in many] == [f"linux_x86_64-0{n}" for n in range(1, 5)]


def test_never_more_than_can_be_run() -> None:
    plan = wide_plan("exhaustive")
    shards = shared(plan, minutes=0.001)
    assert len(shards) == min(MOST_SHARDS, len(groups_of(plan)))
    assert {shard.target for shard in shards} == {each.cell.target for each in plan.cells}


def test_targets_have_shards_of_their_own_the_plans_first_first() -> None:
    plan = wide_plan("exhaustive")
    shards = shared(plan, 7)
    assert len(shards) == 7
    assert list(dict.fromkeys(shard.target for shard in shards)) == list(plan.targets)


def test_fewer_shards_than_targets_is_told_with_what_there_must_be() -> None:
    plan = wide_plan("exhaustive")
    with pytest.raises(UsageError, match="2 shards are too few for cells of 3 targets") as caught:
        shared(plan, 2)
    assert "--shards 3" in caught.value.hint


def test_a_target_that_no_machine_is_known_for_is_told() -> None:
    with pytest.raises(UsageError, match="linux_x86_64; the nearest that has one is linux_i686"):
        shards_of(small_plan(), {"linux_i686": RUNNERS["linux_i686"]}, DURATIONS)


def test_a_plan_without_a_cell_cannot_be_shared_out() -> None:
    empty = dataclasses.replace(small_plan(), cells=(), fallbacks=(), parts=())
    with pytest.raises(NothingSelectedError, match="no cell to share out"):
        shared(empty)


def test_the_manifest_of_what_is_shared_out_stands_its_own_check() -> None:
    check(dataclasses.replace(one_each(small_plan()), shards=shared(small_plan(), 5)))
