"""Groups to shards of about the same length: how many, and which group goes where. Pure."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

__all__ = ["balanced", "imbalance", "shards_for_minutes", "shared_number"]

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
