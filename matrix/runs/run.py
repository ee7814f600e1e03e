"""One whole run: the lock, the journal, the workers, the signals.

Ctrl-C, SIGTERM and Ctrl-Break: the first ends the run softly, the second at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from matrix.errors import ExitCode
from matrix.model.index import ReleaseFiles
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.probes.registry import load_probes
from matrix.runs.backend import RunBackend
from matrix.runs.captures import CaptureStore
from matrix.runs.events import Emit
from matrix.runs.interfaces import SystemClock
from matrix.runs.journal import Journal, one_run
from matrix.runs.keys import cell_sources, judge_key, judge_sources
from matrix.runs.record import Record
from matrix.runs.rejudge import MadeBy, rejudge
from matrix.runs.result_store import ResultStore
from matrix.runs.scheduler import RunContext, Scheduler
from matrix.runs.setup import SetupOptions, world_of
from matrix.services.external import ExternalService
from matrix.system.paths import results_dir

__all__ = [
    "OpenWorld",
    "RunOptions",
    "exit_code",
    "stopping",
    "verify",
    "world_on",
]


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first Ctrl-C or SIGTERM, and leave at the next.

    The workers see their lifeline end and kill what they have started, so leaving leaves nothing.
    """
    asked = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            os._exit(ExitCode.INTERRUPTED)
        asked = True
        # Not `print`: the handler may interrupt one.
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _SAID)
        stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)  # Ctrl-Break, also what a runner sends to end a job
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SAID = b"\nstopping: what is done is kept (again: leave at once)\n"


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """How to run; `jobs` cells at a time. `rejudge` takes captures of `engine`: docker, local, or
    auto, which is the newest of either. `given` are back ends that run already. Of `candidate`, a
    release of the tracer, only its own files are installed. What decides in a cell is run `repeats`
    times at least, also where it shows at once. Results older than `since` are not used again.
    """

    fresh: bool = False
    rejudge: bool = False
    jobs: int = 2
    keep: bool = False
    offline: bool = False
    engine: str = "auto"
    given: Mapping[str, ExternalService] = dataclasses.field(default_factory=dict)
    candidate: ReleaseFiles | None = None
    repeats: int = 1
    since: dt.datetime | None = None


_COUNTS: Mapping[str, MadeBy] = {
    "auto": lambda _capture: True,
    "docker": lambda capture: bool(capture.engine),
    "local": lambda capture: not capture.engine,
}


_LOST = {
    Reason.CLUSTER_LOST: ExitCode.CLUSTER_UNAVAILABLE,
    Reason.ENGINE_LOST: ExitCode.ENGINE_UNAVAILABLE,
}

OpenWorld = Callable[
    [Path, SetupOptions, Mapping[str, Probe], ResultStore],
    contextlib.AbstractContextManager[RunContext],
]
"""Opens what is outside of a run whose cells may have folders below a path."""


def world_on(runs: RunBackend) -> OpenWorld:
    """Return what opens the world of this machine, or of its container engine."""
    return lambda folder, how, probes, _keeping: world_of(folder, how, probes, runs)


def verify(
    plan: Plan, options: RunOptions, emit: Emit, world: OpenWorld, folder: Path | None = None
) -> Record:
    """Run the plan in `world`; raise `UserError`. Results go to `folder`, else to the usual place.

    One run at a time in one results folder. Ctrl-C and SIGTERM end it softly.
    """
    probes = load_probes()
    plan = _repeated(plan, options.repeats)
    folder = folder or results_dir()
    captures = CaptureStore(folder / "captures")
    with one_run(folder), contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        if options.rejudge:
            return rejudge(
                plan,
                probes,
                journal=journal,
                captures=captures,
                clock=SystemClock(),
                emit=emit,
                made_by=_COUNTS[options.engine],
            )
        keeping = ResultStore(
            journal,
            captures,
            cell_sources(),
            judge_key(judge_sources(), probes),
            reuse=not options.fresh,
            since=options.since,
        )
        how = SetupOptions(
            options.jobs,
            options.keep,
            options.offline,
            options.given,
            options.candidate,
            options.repeats,
        )
        with world(folder, how, probes, keeping) as opened:
            engine = Scheduler(plan, probes, opened, keeping, emit)
            with stopping(engine.stop):
                return engine.run()


def _repeated(plan: Plan, repeats: int) -> Plan:
    """Return the plan with as many runs of what decides."""
    if repeats == 1:
        return plan
    cells, fallbacks = (
        tuple(dataclasses.replace(each, repeats=repeats) for each in given)
        for given in (plan.cells, plan.fallbacks)
    )
    return dataclasses.replace(plan, cells=cells, fallbacks=fallbacks)


def exit_code(result: Record, *, strict: bool) -> ExitCode:
    """Return what the verdicts come to."""
    if result.run.interrupted:
        return ExitCode.INTERRUPTED
    if result.run.lost:
        return _LOST[result.run.lost_to]
    if result.count(Outcome.REFUTED):
        return ExitCode.REFUTED
    if strict and result.count(Outcome.UNVERIFIED):
        return ExitCode.UNVERIFIED
    return ExitCode.OK
