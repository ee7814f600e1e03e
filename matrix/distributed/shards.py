"""Split a plan into shards: groups of cells that are compared, balanced by target. Pure."""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from matrix.distributed.durations import Durations
from matrix.distributed.github import RunnerLabel
from matrix.distributed.manifest import MAX_SHARDS, Shard
from matrix.errors import NothingSelectedError, UsageError, did_you_mean
from matrix.model.plan import Plan

DEFAULT_MINUTES = 20.0
"""The time that a shard takes where neither a time nor a number of shards is given."""

_T = TypeVar("_T")


@dataclasses.dataclass(frozen=True)
class CellGroup:
    """Ids of cells to run and of cells in reserve, all for `target`, both in the plan's order."""

    target: str
    cells: tuple[str, ...]
    reserve: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return a unique name that does not depend on the order of the plan."""
        return min((*self.cells, *self.reserve))


def make_shards(
    plan: Plan,
    runners: Mapping[str, RunnerLabel],
    durations: Durations,
    *,
    count: int | None = None,
    minutes: float = DEFAULT_MINUTES,
) -> tuple[Shard, ...]:
    """Return the shards of a plan, those of the plan's first target first.

    There are `count` (fewer where there are fewer groups), or as many as take about `minutes` each,
    and never more than `MAX_SHARDS`. Raises NothingSelectedError for a plan without cells, and
    UsageError where there are fewer than the targets, or a target has no machine.
    """
    by_target: dict[str, list[CellGroup]] = {}
    for group in group_cells(plan):
        by_target.setdefault(group.target, []).append(group)
    if not any(group.cells for groups in by_target.values() for group in groups):
        raise NothingSelectedError(
            "no cells to distribute",
            "`python -m matrix plan` with the same options shows why nothing is run.",
        )
    _check_machines(by_target, runners)
    estimates = {planned.cell.id: durations.estimate(planned) for planned in plan.cells}
    seconds = {
        group.name: math.fsum(estimates[cell] for cell in group.cells)
        for groups in by_target.values()
        for group in groups
    }
    work = {
        target: math.fsum(sorted(seconds[group.name] for group in groups)) / runners[target].cells
        for target, groups in by_target.items()
    }
    limits = {target: len(groups) for target, groups in by_target.items()}
    counts = _shard_counts(work, limits, count, minutes)
    order = {planned.cell.id: n for n, planned in enumerate((*plan.cells, *plan.fallbacks))}
    position = {target: number for number, target in enumerate(plan.targets)}
    targets = sorted(by_target, key=lambda target: (position.get(target, len(position)), target))
    shards = []
    for target in targets:
        weighted = ((seconds[group.name], group.name, group) for group in by_target[target])
        digits = max(2, len(str(counts[target])))  # so that names sort like their numbers
        for number, groups in enumerate(balance(weighted, counts[target]), 1):
            name = f"{target}-{number:0{digits}}"
            shards.append(_make_shard(name, runners[target].engine, groups, seconds, order))
    return tuple(shards)


def group_cells(plan: Plan) -> tuple[CellGroup, ...]:
    """Return the groups of cells that are compared, through any number of parts.

    Each cell of the plan is in exactly one group; a cell without a part is a group by itself.
    """
    run = {planned.cell.id: planned.cell.target for planned in plan.cells}
    reserve = {planned.cell.id: planned.cell.target for planned in plan.fallbacks}
    targets = run | reserve
    return tuple(
        CellGroup(
            targets[cells[0]],
            tuple(cell for cell in cells if cell in run),
            tuple(cell for cell in cells if cell in reserve),
        )
        for cells in _connected(
            targets, ([cell.id for cell in part.compared] for part in plan.parts)
        )
    )


def balance(groups: Iterable[tuple[float, str, _T]], count: int) -> list[list[_T]]:
    """Return the groups in `count` lists; each group has its seconds, a unique name, and a value.

    The longest goes first, to the shortest list (longest processing time first): no list takes
    longer than the mean and the longest group together. The order of the groups does not matter.
    """
    # Groups that take no time are spread, too: no list is empty while there is a group for each.
    heap = [(0.0, 0, number) for number in range(count)]
    lists: list[list[_T]] = [[] for _ in range(count)]
    for seconds, _, group in sorted(groups, key=lambda item: (-item[0], item[1])):
        total, size, number = heapq.heappop(heap)
        lists[number].append(group)
        heapq.heappush(heap, (total + seconds, size + 1, number))
    return lists


def shards_for_minutes(seconds: float, minutes: float, cells_at_a_time: int) -> int:
    """Return the number of shards that take about `minutes` each."""
    return max(1, math.ceil(seconds / (minutes * 60 * cells_at_a_time)))


def distribute_shards(
    work: Mapping[str, float], limits: Mapping[str, int], total: int
) -> Mapping[str, int]:
    """Return how many of `total` shards each target gets: at least one, at most its limit.

    `work` is the work of each target; each further shard goes where the shards are the longest.
    `total` is at least the number of targets. All are used as far as the limits allow.
    """
    counts = dict.fromkeys(sorted(work), 1)
    for _ in range(total - len(counts)):
        below_limit = [target for target in counts if counts[target] < limits[target]]
        if not below_limit:
            break
        counts[max(below_limit, key=lambda target: work[target] / counts[target])] += 1
    return counts


def imbalance(loads: Sequence[float]) -> float:
    """Return the ratio of the largest load to the mean: 1.0 where all are the same."""
    mean = math.fsum(loads) / len(loads)
    return max(loads) / mean if mean else 1.0


def _connected(names: Iterable[str], groups: Iterable[Sequence[str]]) -> list[list[str]]:
    """Return the sets of names that groups connect, through any number of them (union-find)."""
    parents = {name: name for name in names}

    def root_of(name: str) -> str:
        while (parent := parents[name]) != name:
            # Path halving keeps chains short.
            parents[name] = parents[parent]
            name = parent
        return name

    for group in groups:
        root = root_of(group[0])
        for name in group[1:]:
            parents[root_of(name)] = root
    by_root: dict[str, list[str]] = {}
    for name in parents:
        by_root.setdefault(root_of(name), []).append(name)
    return list(by_root.values())


def _shard_counts(
    work: Mapping[str, float], limits: Mapping[str, int], count: int | None, minutes: float
) -> Mapping[str, int]:
    """Return the number of shards of each target; `work` is in seconds of its machine."""
    if count is None:
        counts = {
            target: min(shards_for_minutes(seconds, minutes, 1), limits[target])
            for target, seconds in work.items()
        }
        if sum(counts.values()) <= MAX_SHARDS:
            return counts
        count = MAX_SHARDS
    if count < len(work):
        raise UsageError(
            f"{count} shards are too few for cells of {len(work)} targets, each on its own machine",
            f"Pass at least --shards {len(work)}, or fewer targets with --target:"
            f" {', '.join(sorted(work))}.",
        )
    return distribute_shards(work, limits, count)


def _check_machines(targets: Mapping[str, object], runners: Mapping[str, RunnerLabel]) -> None:
    for target in sorted(targets.keys() - runners.keys()):
        raise UsageError(
            f"no machine for target {target!r}{did_you_mean(target, runners)}",
            "Add one to matrix/data/runners.toml, or exclude the target with --target.",
        )


def _make_shard(
    name: str,
    engine: str,
    groups: Sequence[CellGroup],
    seconds: Mapping[str, float],
    order: Mapping[str, int],
) -> Shard:
    run = sorted((cell for group in groups for cell in group.cells), key=order.__getitem__)
    reserve = sorted((cell for group in groups for cell in group.reserve), key=order.__getitem__)
    total = math.fsum(sorted(seconds[group.name] for group in groups))
    return Shard(name, groups[0].target, engine, tuple(run), tuple(reserve), round(total, 1))
