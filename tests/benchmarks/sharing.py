"""Split a plan of about 100,000 cells into 10 to 256 shards, and print what it takes.

    python tests/benchmarks/sharing.py
    python tests/benchmarks/sharing.py --series 1 --shards 7 50

The plan is that of big_plans.py; the index must be cached (`nox -s plan` once). `over bound`
compares the longest shard with its lower bound: the work of any target by the number of its
shards, and the longest of the groups, which stay together.

This is a benchmark, not a test.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

if sys.platform == "win32":
    raise ImportError("POSIX only: the memory of a process is asked of it by getrusage(2)")

import resource

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from big_plans import big_plan

from matrix.distributed.durations import Durations, load_durations
from matrix.distributed.github import load_runners
from matrix.distributed.manifest import Shard
from matrix.distributed.shards import group_cells, make_shards
from matrix.documents.facts import load_facts
from matrix.model.plan import Plan
from matrix.pypi.client import CachedIndex
from matrix.system.paths import cache_dir


def bound_of(plan: Plan, durations: Durations, shards: tuple[Shard, ...]) -> float:
    """Return a lower bound on the seconds of the longest shard."""
    estimates = {item.cell.id: durations.estimate(item) for item in plan.cells}
    work: dict[str, float] = defaultdict(float)
    longest = 0.0
    for group in group_cells(plan):
        seconds = math.fsum(estimates[cell] for cell in group.cells)
        work[group.target] += seconds
        longest = max(longest, seconds)
    number = Counter(shard.target for shard in shards)
    return max(longest, *(work[target] / number[target] for target in number))


def main() -> None:
    """Measure, and print a table as it fills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--series", type=int, default=16)
    parser.add_argument("--profile", default="exhaustive")
    parser.add_argument("--shards", type=int, nargs="+", default=[10, 50, 100, 256])
    args = parser.parse_args()
    index = CachedIndex(cache_dir(), offline=True)
    plan = big_plan(tuple(load_facts()), index, args.series, args.profile)
    durations, runners = load_durations(), load_runners()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"plan: {len(plan.cells)} cells, {len(group_cells(plan))} groups, {before:.0f} MB")
    print(f"{'shards':>6} {'CPU s':>7} {'memory MB':>10} {'longest h':>10} {'over bound':>11}")
    for count in args.shards:
        start = time.process_time()
        shards = make_shards(plan, runners, durations, count=count)
        cpu = time.process_time() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        longest = max(shard.seconds for shard in shards)
        over = longest / bound_of(plan, durations, shards) - 1
        print(
            f"{len(shards):6} {cpu:7.1f} {memory:10.0f} {longest / 3600:10.2f} {over:11.2%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
