"""Simulate runs on 10 to 1,000 machines: the real planner, engine and judge, and machines made up.

    python tests/benchmarks/clusters.py --durations results/journal.jsonl
    python tests/benchmarks/clusters.py --series 1 --machines 10 --failing 0.02

The index must be cached (`nox -s plan` once). Cells take as long as recorded ones did (machines.py)
of a plan of many promises (big_plans.py): 16 series are about 100,000 cells. Nothing is written: to
keep a result takes milliseconds of its own, which `--tending` is about. `CPU ms` is what the engine
needs for each cell. The bound is what no run could be shorter than: the longest cell, the work of
any kind of machines by their number (with what was lost), and cells that wait for each other.
`half told` is when half of the verdicts were, as a share of the whole, and `waiting` how many
results were there at most that the engine had no time for yet.

No test: it passes no judgement.
"""

from __future__ import annotations

import argparse
import cProfile
import dataclasses
import pickle
import pstats
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

if sys.platform == "win32":
    raise ImportError("POSIX only: the memory of a process is asked of it by getrusage(2)")

import resource

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from big_plans import big_plan  # noqa: E402
from machines import Machines, Mailbox, Recorded, shared_out  # noqa: E402

from matrix.distributed.durations import cells_that_ran, load_durations  # noqa: E402
from matrix.documents.facts import load_facts  # noqa: E402
from matrix.model.capture import CellCapture  # noqa: E402
from matrix.model.plan import Plan, PlannedCell  # noqa: E402
from matrix.model.probe import Probe  # noqa: E402
from matrix.model.reason import Reason  # noqa: E402
from matrix.model.verdict import Finding, Observed  # noqa: E402
from matrix.probes.registry import load_probes  # noqa: E402
from matrix.pypi.client import CachedIndex  # noqa: E402
from matrix.runs.captures import CaptureStore  # noqa: E402
from matrix.runs.events import (  # noqa: E402
    CellFinished,
    ControlAdded,
    Event,
    VerdictReached,
)
from matrix.runs.journal import Entry, Journal  # noqa: E402
from matrix.runs.keys import Sources, probe_keys  # noqa: E402
from matrix.runs.result_store import ResultStore  # noqa: E402
from matrix.runs.scheduler import RunContext, Scheduler  # noqa: E402
from matrix.system.paths import cache_dir  # noqa: E402

_KB = 1024
_ALL = 1_000_000_000  # cells at a time: how many, the books of the cluster say


class MadeUp(ResultStore):
    """Keeps nothing, and says what cells would show: nine of ten what is promised of them.

    The others do not show it, so that controls are run, or cannot be installed, so that others are
    tried.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        journal, captures = Journal(folder / "none"), CaptureStore(folder)
        super().__init__(journal, captures, Sources("code"), "judge")
        self._before = {each for part in plan.parts for each in (part.before, part.above) if each}

    def keep(
        self, capture: CellCapture, base: str, planned: PlannedCell, probes: Mapping[str, Probe]
    ) -> tuple[Entry, str]:
        """Return what the cell shows."""
        cell = planned.cell.id
        drawn = random.Random(cell).random()  # noqa: S311 - no secret
        shows, reason = Observed.PRESENT, None
        if cell in self._before or drawn < 0.05:
            shows = Observed.ABSENT
        elif drawn < 0.1:
            shows, reason = Observed.UNKNOWN, Reason.BUILD_FAILED
        findings = tuple(
            Finding(cell, name, channel.name, shows, f"It was seen: {shows.value}.", reason)
            for name in planned.probes
            if name in probes
            for channel in probes[name].channels
        )
        entry = Entry(
            key=capture.key,
            base=base,
            probes=probe_keys(planned, probes),
            decisive=planned.decisive,
            soak=planned.soak,
            cell=cell,
            reason=reason,
            detail="",
            started="",
            seconds=0.0,
            transient=False,
            judge="",
            findings=findings,
        )
        return entry, ""


class Watch:
    """Notes when verdicts fall, and how long cells wait for each other."""

    def __init__(self, recorded: Recorded, plan: Plan, machines: Machines) -> None:
        self._machines = machines
        every = (*plan.cells, *plan.fallbacks)
        self._seconds = {each.cell.id: recorded.of(each) for each in every}
        self._after: dict[str, float] = {}
        self._ended = ""
        self.chain = 0.0
        self.told: list[float] = []

    def __call__(self, event: Event) -> None:
        """Take an event in."""
        if isinstance(event, CellFinished):
            self._ended = event.cell
            self.chain = max(self.chain, self._until(event.cell))
        elif isinstance(event, ControlAdded):
            self._after[event.cell] = self._until(self._ended)
        elif isinstance(event, VerdictReached) and event.verdict.cells:
            self.told.append(self._machines.seconds())

    def _until(self, cell: str) -> float:
        return self._after.get(cell, 0.0) + self._seconds[cell]


@dataclasses.dataclass(frozen=True)
class Measured:
    """One run: `cpu` in seconds, `memory` in MB, `virtual` in seconds of the machines."""

    cells: int
    cpu: float
    memory: float
    virtual: float
    bound: float
    half: float
    lost: int
    waiting: int


def simulate(plan: Plan, recorded: Recorded, args: argparse.Namespace) -> Measured:
    """Run the plan."""
    shares = shared_out(plan.cells, args.count, recorded)
    machines = Machines(
        plan, shares, recorded, failing=args.failing, tending=args.tending / 1000, seed=args.seed
    )
    watch = Watch(recorded, plan, machines)
    world = RunContext(None, None, machines, _ALL, far=machines)
    with tempfile.TemporaryDirectory() as folder:
        engine = Scheduler(plan, load_probes(), world, MadeUp(plan, Path(folder)), watch)
        engine._messages = Mailbox(machines)
        start = time.process_time()
        if args.profile_engine:
            profile = cProfile.Profile()
            result = profile.runcall(engine.run)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        else:
            result = engine.run()
        cpu = time.process_time() - start - machines.busy
    bound = max(
        watch.chain,
        machines.longest,
        *(seconds / shares[kind] for kind, seconds in machines.work().items()),
    )
    told = sorted(watch.told)
    return Measured(
        cells=len(result.cells),
        cpu=cpu,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KB,
        virtual=machines.seconds(),
        bound=bound,
        half=told[len(told) // 2] / machines.seconds() if told else 0.0,
        lost=machines.lost,
        waiting=machines.most_back,
    )


def recorded_in(paths: Iterable[Path], seed: int) -> Recorded:
    """Return the seconds of the cells that are recorded there, by framework."""
    found: dict[str, list[float]] = defaultdict(list)
    for path in paths:
        for took in cells_that_ran(path, lambda said: print(said, file=sys.stderr)):
            found[took.framework].append(took.seconds)
    return Recorded(load_durations(), found, seed)


def plan_once(args: argparse.Namespace) -> None:
    """Make the plan, write it down for the runs, and tell what it took."""
    claims, index = load_facts(), CachedIndex(cache_dir(), offline=True)
    start = time.process_time()
    plan = big_plan(tuple(claims), index, args.series, args.profile)
    seconds = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KB
    args.plan.write_bytes(pickle.dumps(plan))
    print(
        f"plan: {len(plan.claims)} claims, {len(plan.parts)} parts, {len(plan.cells)} cells,"
        f" {len(plan.fallbacks)} in reserve: {seconds:.1f} s of CPU, {memory:.0f} MB",
        flush=True,
    )


def run_once(args: argparse.Namespace) -> None:
    """Simulate one run of the plan that was written down, and print its row."""
    plan: Plan = pickle.loads(args.plan.read_bytes())  # noqa: S301 - our own, of a moment ago
    recorded = recorded_in(args.durations, args.seed)
    got = simulate(plan, recorded, args)
    print(
        f"{args.count:8} {args.failing:8.0%} {got.cells:8} {got.lost:6} {got.cpu:7.1f}"
        f" {got.cpu / got.cells * 1000:7.2f} {got.memory:10.0f} {got.virtual / 3600:11.2f}"
        f" {got.bound / 3600:9.2f} {got.virtual / got.bound - 1:11.1%} {got.half:10.0%}"
        f" {got.waiting:8}",
        flush=True,
    )


def main() -> None:
    """Measure, each run in a process of its own, and print a table as it fills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--durations", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--series", type=int, default=16)
    parser.add_argument("--profile", default="exhaustive")
    parser.add_argument("--machines", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--failing", type=float, nargs="+", default=[0.0, 0.02])
    parser.add_argument("--tending", type=float, default=0.0, help="ms for each cell that ended")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--profile-engine", action="store_true", help="tell where the time goes")
    parser.add_argument("--plan", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--one", choices=["plan", "run"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one == "plan":
        plan_once(args)
        return
    if args.one == "run":
        (args.count,), (args.failing,) = args.machines, args.failing
        run_once(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        plan = args.plan or Path(folder) / "plan"
        again = [sys.executable, __file__, *sys.argv[1:], "--plan", str(plan)]
        if not plan.exists():
            subprocess.run([*again, "--one", "plan"], check=True)
        print(
            f"{'machines':>8} {'failing':>8} {'cells':>8} {'lost':>6} {'CPU s':>7} {'CPU ms':>7}"
            f" {'memory MB':>10} {'makespan h':>11} {'bound h':>9} {'over bound':>11}"
            f" {'half told':>10} {'waiting':>8}"
        )
        for count in args.machines:
            for failing in args.failing:
                how = ["--machines", str(count), "--failing", str(failing), "--one", "run"]
                subprocess.run([*again, *how], check=True)


if __name__ == "__main__":
    main()
