"""A plan to shards: comparison groups, balanced for the machines of each target. Pure.

Comparison groups: cells that some part is judged by together, through any number of parts.

Groups to shards of about the same length: how many, and which group goes where. Pure.
"""

from __future__ import annotations

import dataclasses
import heapq
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from matrix.distributed.durations import Durations
from matrix.distributed.github import RunnerLabel
from matrix.distributed.manifest import MOST_SHARDS, Shard
from matrix.errors import NothingSelectedError, UsageError, nearest
from matrix.model.plan import Plan

__all__ = [
    "MINUTES",
    "CellGroup",
    "balanced",
    "groups_of",
    "imbalance",
    "shards_for_minutes",
    "shards_of",
    "shared_number",
]


@dataclasses.dataclass(frozen=True)
class CellGroup:
    """Ids of cells to run and of cells in reserve, all for `target`, both in the plan's order."""

    target: str
    cells: tuple[str, ...]
    reserve: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return what tells it from all others, whatever the order of the plan is."""
        return min((*self.cells, *self.reserve))


def groups_of(plan: Plan) -> tuple[CellGroup, ...]:
    """Return the groups, each cell of the plan in one; a cell that no part names is one alone."""
    run = {each.cell.id: each.cell.target for each in plan.cells}
    reserve = {each.cell.id: each.cell.target for each in plan.fallbacks}
    targets = run | reserve
    together = _Together(list(targets))
    for part in plan.parts:
        together.join(part.cells)
    return tuple(
        CellGroup(
            targets[cells[0]],
            tuple(cell for cell in cells if cell in run),
            tuple(cell for cell in cells if cell in reserve),
        )
        for cells in together.sets()
    )


class _Together:
    """Disjoint sets of names, joined as it is told (union-find)."""

    def __init__(self, names: list[str]) -> None:
        self._above = {name: name for name in names}

    def join(self, names: tuple[str, ...]) -> None:
        first = self._top(names[0])
        for name in names[1:]:
            self._above[self._top(name)] = first

    def sets(self) -> Iterator[list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._above:
            found.setdefault(self._top(name), []).append(name)
        yield from found.values()

    def _top(self, name: str) -> str:
        while (above := self._above[name]) != name:
            # What is passed hangs higher afterwards: chains stay short.
            self._above[name] = self._above[above]
            name = above
        return name


_T = TypeVar("_T")


def balanced(groups: Iterable[tuple[float, str, _T]], count: int) -> list[list[_T]]:
    """Return `count` lists of groups, given as seconds, a name of its own, and anything.

    The longest goes first, and each where least is (longest processing time first): no list takes
    longer than the mean and the longest group together. The same whatever the order of the groups.
    """
    # Groups that take no time are spread, too: no list is empty while there is a group for each.
    heap = [(0.0, 0, number) for number in range(count)]
    lists: list[list[_T]] = [[] for _ in range(count)]
    for seconds, _, group in sorted(groups, key=lambda each: (-each[0], each[1])):
        so_far, many, number = heapq.heappop(heap)
        lists[number].append(group)
        heapq.heappush(heap, (so_far + seconds, many + 1, number))
    return lists


def shards_for_minutes(seconds: float, minutes: float, at_a_time: int) -> int:
    """Return how many shards take about `minutes` each, with so many cells at a time."""
    return max(1, math.ceil(seconds / (minutes * 60 * at_a_time)))


def shared_number(
    work: Mapping[str, float], most: Mapping[str, int], total: int
) -> Mapping[str, int]:
    """Return how many of `total` shards each target gets: one at least, and no more than `most`.

    `work` is what there is to do there; each further shard goes where the shards are the longest.
    `total` is at least the number of targets. All are given out where `most` lets them.
    """
    counts = dict.fromkeys(sorted(work), 1)
    for _ in range(total - len(counts)):
        open_ = [target for target in counts if counts[target] < most[target]]
        if not open_:
            break
        counts[max(open_, key=lambda target: work[target] / counts[target])] += 1
    return counts


def imbalance(loads: Sequence[float]) -> float:
    """Return how much longer the longest is than the mean: 1.0 where all are the same."""
    mean = math.fsum(loads) / len(loads)
    return max(loads) / mean if mean else 1.0


MINUTES = 20.0
"""How long a shard is to take, where nobody says how many there are to be."""


def shards_of(
    plan: Plan,
    runners: Mapping[str, RunnerLabel],
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
    groups: dict[str, list[CellGroup]] = {}
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


def _all_have_machines(targets: Mapping[str, object], runners: Mapping[str, RunnerLabel]) -> None:
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
    groups: Sequence[CellGroup],
    seconds: Mapping[str, float],
    order: Mapping[str, int],
) -> Shard:
    run, reserve = (
        tuple(sorted((cell for some in ids for cell in some), key=order.__getitem__))
        for ids in ([g.cells for g in groups], [g.reserve for g in groups])
    )
    total = math.fsum(sorted(seconds[group.name] for group in groups))
    return Shard(name, groups[0].target, engine, run, reserve, round(total, 1))
