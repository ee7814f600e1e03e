"""One whole run: its lock, journal and workers, signals, and the exit code.

Ctrl-C, SIGTERM and Ctrl-Break: the first one ends the run softly, the second one at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

from matrix.errors import ExitCode
from matrix.model.plan import Plan, PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.probes.registry import load_probes
from matrix.runs.backend import RunBackend
from matrix.runs.events import Emit
from matrix.runs.interface import RunContext, SystemClock
from matrix.runs.journal import Journal, lock_results
from matrix.runs.keys import cell_sources, judge_key, judge_sources
from matrix.runs.record import Record
from matrix.runs.rejudge import CaptureFilter, rejudge
from matrix.runs.result_store import CaptureStore, ResultStore
from matrix.runs.scheduler import Scheduler
from matrix.runs.setup import RunOptions, run_context
from matrix.system.paths import results_dir

OpenRunContext = Callable[
    [Path, RunOptions, Mapping[str, Probe], ResultStore],
    contextlib.AbstractContextManager[RunContext],
]
"""Opens the context of a run, with the folders of its cells below a path."""

_STOPPING = b"\nstopping: what is done is kept (again: leave at once)\n"
_FILTERS: Mapping[str, CaptureFilter] = {
    "auto": lambda _capture: True,
    "docker": lambda capture: bool(capture.engine),
    "local": lambda capture: not capture.engine,
}
_LOST = {
    Reason.CLUSTER_LOST: ExitCode.CLUSTER_UNAVAILABLE,
    Reason.ENGINE_LOST: ExitCode.ENGINE_UNAVAILABLE,
}


def verify(
    plan: Plan,
    options: RunOptions,
    emit: Emit,
    open_context: OpenRunContext,
    folder: Path | None = None,
) -> Record:
    """Run the plan and judge it; raise `UserError`. Results go to `folder`, or the usual place.

    One run at a time uses a results folder. Ctrl-C and SIGTERM end a run softly.
    """
    probes = load_probes()
    plan = _with_repeats(plan, options.repeats)
    with open_results(folder or results_dir()) as results:
        if options.rejudge:
            return rejudge(
                plan,
                probes,
                journal=results.journal,
                captures=results.captures,
                clock=SystemClock(),
                emit=emit,
                accepts=_FILTERS[options.engine],
            )
        store = results.store(options, probes)
        with open_context(results.folder, options, probes, store) as context:
            scheduler = Scheduler(plan, probes, context, store, emit)
            with stopping(scheduler.stop):
                return scheduler.run()


@dataclasses.dataclass(frozen=True)
class Results:
    """A locked folder of results."""

    folder: Path
    journal: Journal
    captures: CaptureStore

    def store(self, options: RunOptions, probes: Mapping[str, Probe]) -> ResultStore:
        """Return the results as a run with these options uses them."""
        return ResultStore(
            self.journal,
            self.captures,
            cell_sources(),
            judge_key(judge_sources(), probes),
            reuse=not options.fresh,
            since=options.since,
        )


@contextlib.contextmanager
def open_results(folder: Path) -> Iterator[Results]:
    """Yield the results in a folder, which is locked meanwhile; raise `UserError`."""
    with lock_results(folder), contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        yield Results(folder, journal, CaptureStore(folder / "captures"))


def context_on(backend: RunBackend) -> OpenRunContext:
    """Return a function that opens the context of a run on this machine or its engine."""
    return lambda folder, options, probes, _store: run_context(folder, options, probes, backend)


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first Ctrl-C or SIGTERM, and exit at the second.

    When the process exits the lifelines of its workers end, and they kill what they have started.
    """
    stopped = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped:
            os._exit(ExitCode.INTERRUPTED)
        stopped = True
        # Not `print`: the handler may interrupt one.
        os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _STOPPING)
        stop()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if sys.platform == "win32":
        numbers.append(signal.SIGBREAK)  # Ctrl-Break, which a CI runner sends to end a job
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(record: Record, *, strict: bool) -> ExitCode:
    """Return the exit code for a record; `strict` is for unverified claims."""
    if record.run.interrupted:
        return ExitCode.INTERRUPTED
    if record.run.lost:
        return _LOST[record.run.lost_to]
    if record.count(Outcome.REFUTED):
        return ExitCode.REFUTED
    if strict and record.count(Outcome.UNVERIFIED):
        return ExitCode.UNVERIFIED
    return ExitCode.OK


def _with_repeats(plan: Plan, repeats: int) -> Plan:
    """Return the plan with this number of repeats for its cells."""
    if repeats == 1:
        return plan

    def repeated(cells: tuple[PlannedCell, ...]) -> tuple[PlannedCell, ...]:
        return tuple(dataclasses.replace(planned, repeats=repeats) for planned in cells)

    return dataclasses.replace(plan, cells=repeated(plan.cells), fallbacks=repeated(plan.fallbacks))
