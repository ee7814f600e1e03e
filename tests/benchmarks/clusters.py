"""Simulate runs on 10 to 1,000 machines: the real planner, scheduler and judge, fake machines.

    python tests/benchmarks/clusters.py --durations results/journal.jsonl
    python tests/benchmarks/clusters.py --series 1 --machines 10 --failing 0.02

The index must be cached (`nox -s plan` once). Cells take as long as recorded ones did (machines.py)
of a plan of many claims (big_plans.py): 16 series are about 100,000 cells. Nothing is written: to
store a result takes milliseconds, which `--tending` adds. `CPU ms` is what the scheduler needs for
each cell. The bound is a lower limit of every run: the longest cell, the work of any kind of
machines by their number (with lost cells), and cells that wait for each other. `half told` is when
half of the verdicts were reached, as a share of the whole, and `waiting` the largest number of
results that waited for the scheduler.

This is a benchmark, not a test.
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
from machines import Machines, Mailbox, RecordedDurations, distribute_machines  # noqa: E402

from matrix.distributed.durations import load_durations, read_cell_durations  # noqa: E402
from matrix.documents.facts import load_facts  # noqa: E402
from matrix.model.capture import CellCapture  # noqa: E402
from matrix.model.plan import Plan, PlannedCell  # noqa: E402
from matrix.model.probe import Probe  # noqa: E402
from matrix.model.reason import Reason  # noqa: E402
from matrix.model.verdict import Finding, Observed  # noqa: E402
from matrix.probes.registry import load_probes  # noqa: E402
from matrix.pypi.client import CachedIndex  # noqa: E402
from matrix.runs.events import CellFinished, ControlAdded, Event, VerdictReached  # noqa: E402
from matrix.runs.interface import RunContext  # noqa: E402
from matrix.runs.journal import Entry, Journal  # noqa: E402
from matrix.runs.keys import probe_keys  # noqa: E402
from matrix.runs.result_store import CaptureStore, ResultStore  # noqa: E402
from matrix.runs.scheduler import Scheduler  # noqa: E402
from matrix.system.paths import cache_dir  # noqa: E402

_KB = 1024
_UNLIMITED = 1_000_000_000  # cells at a time: the queue of the cluster limits them


class FakeResultStore(ResultStore):
    """A store that writes nothing and makes findings up: nine of ten cells show the claim.

    The others do not show it, so that controls are run, or cannot be installed, so that others are
    tried.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        journal, captures = Journal(folder / "none"), CaptureStore(folder)
        super().__init__(journal, captures, "code", "judge")
        self._before = {cell for part in plan.parts for cell in (part.before, part.above) if cell}

    def keep(
        self, capture: CellCapture, base: str, planned: PlannedCell, probes: Mapping[str, Probe]
    ) -> tuple[Entry, str]:
        """Return the entry of what the cell shows."""
        cell = planned.cell.id
        chance = random.Random(cell).random()  # noqa: S311 - no secret
        shows, reason = Observed.PRESENT, None
        if planned.cell in self._before or chance < 0.05:
            shows = Observed.ABSENT
        elif chance < 0.1:
            shows, reason = Observed.UNKNOWN, Reason.BUILD_FAILED
        findings = tuple(
            Finding(planned.cell, name, channel.name, shows, (), reason)
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


class VerdictTimes:
    """Records when verdicts are reached, and how long cells wait for each other."""

    def __init__(self, recorded: RecordedDurations, plan: Plan, machines: Machines) -> None:
        self._machines = machines
        planned_cells = (*plan.cells, *plan.fallbacks)
        self._seconds = {item.cell.id: recorded.draw(item) for item in planned_cells}
        self._after: dict[str, float] = {}
        self._ended = ""
        self.chain = 0.0
        self.reached: list[float] = []

    def __call__(self, event: Event) -> None:
        """Record an event."""
        if isinstance(event, CellFinished):
            self._ended = event.cell
            self.chain = max(self.chain, self._until(event.cell))
        elif isinstance(event, ControlAdded):
            self._after[event.cell] = self._until(self._ended)
        elif isinstance(event, VerdictReached) and event.verdict.cells:
            self.reached.append(self._machines.seconds())

    def _until(self, cell: str) -> float:
        return self._after.get(cell, 0.0) + self._seconds[cell]


@dataclasses.dataclass(frozen=True)
class SimulationResult:
    """One run: `cpu` in seconds, `memory` in MB, `virtual` in seconds of the machines."""

    cells: int
    cpu: float
    memory: float
    virtual: float
    bound: float
    half: float
    lost: int
    waiting: int


def simulate(plan: Plan, recorded: RecordedDurations, args: argparse.Namespace) -> SimulationResult:
    """Run the plan."""
    shares = distribute_machines(plan.cells, args.count, recorded)
    machines = Machines(
        plan, shares, recorded, failing=args.failing, tending=args.tending / 1000, seed=args.seed
    )
    watch = VerdictTimes(recorded, plan, machines)
    world = RunContext(None, machines, machines, _UNLIMITED)
    with tempfile.TemporaryDirectory() as folder:
        scheduler = Scheduler(
            plan, load_probes(), world, FakeResultStore(plan, Path(folder)), watch
        )
        scheduler._messages = Mailbox(machines)
        start = time.process_time()
        if args.profile_engine:
            profile = cProfile.Profile()
            result = profile.runcall(scheduler.run)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
        else:
            result = scheduler.run()
        cpu = time.process_time() - start - machines.busy
    bound = max(
        watch.chain,
        machines.longest,
        *(seconds / shares[kind] for kind, seconds in machines.work().items()),
    )
    reached = sorted(watch.reached)
    return SimulationResult(
        cells=len(result.cells),
        cpu=cpu,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KB,
        virtual=machines.seconds(),
        bound=bound,
        half=reached[len(reached) // 2] / machines.seconds() if reached else 0.0,
        lost=machines.lost,
        waiting=machines.most_back,
    )


def recorded_in(paths: Iterable[Path], seed: int) -> RecordedDurations:
    """Return the seconds of the cells in the files, by framework."""
    by_framework: dict[str, list[float]] = defaultdict(list)
    for path in paths:
        for item in read_cell_durations(path, lambda text: print(text, file=sys.stderr)):
            by_framework[item.cell.framework].append(item.seconds)
    return RecordedDurations(load_durations(), by_framework, seed)


def plan_once(args: argparse.Namespace) -> None:
    """Make the plan, write it to a file for the runs, and print what it took."""
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
    """Simulate one run of the plan in the file, and print its row."""
    plan: Plan = pickle.loads(args.plan.read_bytes())  # noqa: S301 - written by this program
    recorded = recorded_in(args.durations, args.seed)
    result = simulate(plan, recorded, args)
    print(
        f"{args.count:8} {args.failing:8.0%} {result.cells:8} {result.lost:6} {result.cpu:7.1f}"
        f" {result.cpu / result.cells * 1000:7.2f} {result.memory:10.0f}"
        f" {result.virtual / 3600:11.2f} {result.bound / 3600:9.2f}"
        f" {result.virtual / result.bound - 1:11.1%} {result.half:10.0%}"
        f" {result.waiting:8}",
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
    parser.add_argument("--profile-engine", action="store_true", help="profile the scheduler")
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
