"""Choose the framework's release of a search: the one with which most releases start.

Releases of the tracer are sampled from the first to the last, and run on each of the framework's
releases that the plan offers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from matrix.features.minimum.search_plan import SearchPlan
from matrix.runs.record import CellRecord

_SAMPLES = 4

Check = Callable[[SearchPlan, Sequence[str]], tuple[CellRecord, ...]]
Starts = Callable[[SearchPlan, CellRecord], bool]
"""Return whether the app started in a cell, so that its channels can tell."""


def sampled_releases(plan: SearchPlan) -> tuple[str, ...]:
    """Return a few releases of a plan, the first and the last among them."""
    releases = tuple(plan.cells)
    last = len(releases) - 1
    positions = {round(last * number / (_SAMPLES - 1)) for number in range(_SAMPLES)}
    return tuple(releases[position] for position in sorted(positions))


def with_most_starts(plan: SearchPlan, check: Check, starts: Starts) -> SearchPlan:
    """Return the plan, or the alternative with which most of the sampled releases start.

    Of equals the first counts. The remarks have the numbers of all of them.
    """
    plans = (plan, *plan.alternatives)
    if len(plans) == 1:
        return plan
    sampled = sampled_releases(plan)
    counts = [sum(starts(each, record) for record in check(each, sampled)) for each in plans]
    chosen = plans[counts.index(max(counts))]
    tried = ", ".join(
        f"{count} with {each.framework}" for each, count in zip(plans, counts, strict=True)
    )
    remark = f"{chosen.framework} was chosen: of {len(sampled)} releases, so many start: {tried}"
    return dataclasses.replace(chosen, alternatives=(), remarks=(*chosen.remarks, remark))
