"""A plan to shards: comparison groups, balanced for the machines of each target. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matrix.errors import NothingSelectedError, UsageError, nearest
from matrix.model.plan import Plan
from matrix.sharding.balancing import balanced, shards_for_minutes, shared_number
from matrix.sharding.durations import Durations
from matrix.sharding.groups import Group, groups_of
from matrix.sharding.manifest import Shard
from matrix.sharding.manifest_checks import MOST_SHARDS
from matrix.sharding.runners import Runner

__all__ = ["MINUTES", "shards_of"]

MINUTES = 20.0
"""How long a shard is to take, where nobody says how many there are to be."""


def shards_of(
    plan: Plan,
    runners: Mapping[str, Runner],
    durations: Durations,
    *,
    count: int | None = None,
    minutes: float = MINUTES,
) -> tuple[Shard, ...]:
    """Return the shards of a plan, those of the plan's first target first.

    There are `count` (fewer where there are not so many groups), or as many as take about
    `minutes` each, and never more than `MOST_SHARDS`. Raises NothingSelectedError for a plan
    without cells, and UsageError where `count` is less than the targets are, or a target has no
    machine.
    """
    groups: dict[str, list[Group]] = {}
    for group in groups_of(plan):
        groups.setdefault(group.target, []).append(group)
    if not any(group.cells for some in groups.values() for group in some):
        raise NothingSelectedError(
            "there is no cell to share out",
            "`python -m matrix plan` with the same options says why nothing is run.",
        )
    _all_have_machines(groups, runners)
    takes = {each.cell.id: durations.of(each) for each in plan.cells}
    seconds = {
        group.name: math.fsum(takes[cell] for cell in group.cells)
        for some in groups.values()
        for group in some
    }
    work = {
        target: math.fsum(sorted(seconds[group.name] for group in some)) / runners[target].cells
        for target, some in groups.items()
    }
    most = {target: len(some) for target, some in groups.items()}
    numbers = _numbers(work, most, count, minutes)
    order = {each.cell.id: rank for rank, each in enumerate((*plan.cells, *plan.fallbacks))}
    ranked = sorted(groups, key=lambda target: (_rank(plan.targets, target), target))
    shards = []
    for target in ranked:
        named = ((seconds[group.name], group.name, group) for group in groups[target])
        for number, some in enumerate(balanced(named, numbers[target]), 1):
            name = f"{target}-{number:0{_digits(numbers[target])}}"
            shards.append(_shard(name, runners[target].engine, some, seconds, order))
    return tuple(shards)


def _numbers(
    work: Mapping[str, float], most: Mapping[str, int], count: int | None, minutes: float
) -> Mapping[str, int]:
    """Return how many shards each target gets; `work` is in seconds of its machine."""
    if count is None:
        wanted = {target: shards_for_minutes(each, minutes, 1) for target, each in work.items()}
        wanted = {target: min(each, most[target]) for target, each in wanted.items()}
        if sum(wanted.values()) <= MOST_SHARDS:
            return wanted
        count = MOST_SHARDS
    if count < len(work):
        raise UsageError(
            f"{count} shards are too few for cells of {len(work)} targets, each on its own machine",
            f"Give at least --shards {len(work)}, or fewer targets with --target:"
            f" {', '.join(sorted(work))}.",
        )
    return shared_number(work, most, count)


def _all_have_machines(targets: Mapping[str, object], runners: Mapping[str, Runner]) -> None:
    for target in sorted(targets.keys() - runners.keys()):
        near = nearest(target, runners)
        said = f"; the nearest that has one is {near}" if near else ""
        raise UsageError(
            f"no machine is known for {target}{said}",
            "Add it to matrix/data/runners.toml, or leave the target out with --target.",
        )


def _digits(number: int) -> int:
    # Names sort as their numbers do.
    return max(2, len(str(number)))


def _rank(targets: Sequence[str], target: str) -> int:
    return targets.index(target) if target in targets else len(targets)


def _shard(
    name: str,
    engine: str,
    groups: Sequence[Group],
    seconds: Mapping[str, float],
    order: Mapping[str, int],
) -> Shard:
    run, reserve = (
        tuple(sorted((cell for some in ids for cell in some), key=order.__getitem__))
        for ids in ([g.cells for g in groups], [g.reserve for g in groups])
    )
    total = math.fsum(sorted(seconds[group.name] for group in groups))
    return Shard(name, groups[0].target, engine, run, reserve, round(total, 1))
