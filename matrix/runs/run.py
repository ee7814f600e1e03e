"""One whole run: its lock, journal and workers, signals, and the exit code.

Or captures of earlier runs are judged by the current rules, without building or running anything.

Ctrl-C, SIGTERM, SIGHUP and Ctrl-Break: the first one ends the run softly, the second one at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType

from matrix.errors import ExitCode
from matrix.interpreters.inspect import host_target
from matrix.judging.cells import findings_of
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.capture import CellCapture, CellLocation
from matrix.model.cell import Cell
from matrix.model.plan import Plan, PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Outcome
from matrix.planning.locations import Targets, select_targets
from matrix.probes.registry import load_probes
from matrix.runs.backend import RunBackend
from matrix.runs.events import (
    CellFinished,
    Emit,
    RunFinished,
    RunStarted,
    VerdictReached,
    WarningRaised,
)
from matrix.runs.interface import Clock, RunContext, SystemClock
from matrix.runs.journal import Entry, Journal, lock_results
from matrix.runs.keys import cell_sources, judge_key, judge_sources
from matrix.runs.record import CellRecord, Record
from matrix.runs.result_store import CaptureStore, ResultStore, entries_without_line
from matrix.runs.scheduler import Scheduler
from matrix.runs.setup import RunOptions, run_context
from matrix.system.paths import results_dir
from matrix.system.processes import ending_signals

CaptureFilter = Callable[[CellCapture], bool]
OpenRunContext = Callable[
    [Path, RunOptions, Mapping[str, Probe], ResultStore],
    contextlib.AbstractContextManager[RunContext],
]
"""Opens the context of a run, with the folders of its cells below a path."""

_STOPPING = b"\nstopping: what is done is kept (again: leave at once)\n"
CAPTURE_FILTERS: Mapping[str, CaptureFilter] = {
    "auto": lambda _capture: True,
    "docker": lambda capture: bool(capture.engine),
    "local": lambda capture: not capture.engine,
}
"""The captures that count, by --engine."""
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
                accepts=CAPTURE_FILTERS[options.engine],
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
    """Call `stop` at the first Ctrl-C, SIGTERM or SIGHUP, and exit at the second.

    When the process exits the lifelines of its workers end, and they kill what they have started.
    """
    stopped = False

    def handle(_number: int, _frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped:
            os._exit(ExitCode.INTERRUPTED)
        stopped = True
        # Not `print`: the handler may interrupt one. After SIGHUP there is no terminal.
        with contextlib.suppress(OSError):
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, _STOPPING)
        stop()

    before = {number: signal.signal(number, handle) for number in ending_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_code(record: Record, *, strict: bool, accepted: Collection[str] = ()) -> ExitCode:
    """Return the exit code for a record; `strict` is for unverified claims.

    So are those that rest on what stands in for a deployment, but for the places `accepted`.
    """
    if record.run.interrupted:
        return ExitCode.INTERRUPTED
    if record.run.lost:
        return _LOST[record.run.lost_to]
    if any(cell.reason is Reason.DISK_FULL and not cell.reused for cell in record.cells):
        return ExitCode.STORAGE
    if record.count(Outcome.REFUTED):
        return ExitCode.REFUTED
    if strict and (record.count(Outcome.UNVERIFIED) or record.shaped(accepted)):
        return ExitCode.UNVERIFIED
    return ExitCode.OK


def _with_repeats(plan: Plan, repeats: int) -> Plan:
    """Return the plan with this number of repeats for its cells."""
    if repeats == 1:
        return plan

    def repeated(cells: tuple[PlannedCell, ...]) -> tuple[PlannedCell, ...]:
        return tuple(dataclasses.replace(planned, repeats=repeats) for planned in cells)

    return dataclasses.replace(plan, cells=repeated(plan.cells), fallbacks=repeated(plan.fallbacks))


def captured_targets(results: Path, globs: Sequence[str] = ()) -> Targets:
    """Return the targets of the captures in a results folder, without connecting to an engine."""
    with contextlib.closing(Journal(results / "journal.jsonl")) as journal:
        contained = any(entry.contained for entry in journal.read().entries.values())
    return select_targets(_target_folders(results / "captures"), globs, contained=contained)


def _target_folders(folder: Path) -> tuple[str, ...]:
    """Return this machine's target, and the others that there are captures for."""
    targets = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(ValueError):
            targets.add(Cell.parse(path.name).target)
    host = host_target()
    return (host, *sorted(targets - {host}, reverse=True))  # x86_64, i686, aarch64


def rejudge(  # noqa: PLR0913 - the parts of a run without its context
    plan: Plan,
    probes: Mapping[str, Probe],
    *,
    journal: Journal,
    captures: CaptureStore,
    clock: Clock,
    emit: Emit,
    accepts: CaptureFilter = lambda _capture: True,
) -> Record:
    """Judge the newest captures of the plan's cells; cells without one are not run.

    `accepts` selects the captures that count, such as those of one engine. Unlike in a run,
    captures are found by cell, also those that another app or probe made. For a cell that answers a
    claim about containers only captures in containers count, where there are some.
    """
    started, start = clock.now(), clock.seconds()
    emit(RunStarted(plan, 0))
    reading = journal.read()
    entries_of: dict[str, list[Entry]] = defaultdict(list)
    for entry in reading.entries.values():
        entries_of[entry.cell].append(entry)
    findings = FindingTable()
    records = []
    contained = {cell for part in plan.parts if part.contained for cell in part.cells}
    for planned in (*plan.cells, *plan.fallbacks):
        entries = [entry for entry in entries_of[planned.cell.id] if not entry.count]
        if lost := list(entries_without_line(captures, planned, reading.entries, probes)):
            entries = sorted((*entries, *lost), key=lambda entry: entry.started)
        counts = [entry for entry in entries_of[planned.cell.id] if entry.count]
        for finding in _counts_in(counts, planned, captures, probes, accepts):
            findings.add_counts(finding)
        if planned.cell in contained:
            entries = [entry for entry in entries if entry.contained] or entries
        record = _record_of(planned, entries, captures, probes, accepts)
        if record is None:
            continue
        records.append(record)
        for finding in record.findings:
            findings.add(finding, contained=record.contained)
        emit(CellFinished(record.id, record.reason, record.detail, record.seconds, reused=True))
    verdicts = judge(plan, findings)
    for verdict in verdicts:
        emit(VerdictReached(verdict))
    warnings = tuple(dict.fromkeys((*reading.remarks, *captures.notices)))
    for warning in warnings:
        emit(WarningRaised(warning))
    emit(RunFinished(interrupted=False))
    seconds = clock.seconds() - start
    return Record.of(plan, tuple(records), verdicts, started, seconds, warnings=warnings)


def _counts_in(
    entries: Iterable[Entry],
    planned: PlannedCell,
    captures: CaptureStore,
    probes: Mapping[str, Probe],
    accepts: CaptureFilter,
) -> Iterator[Finding]:
    """Yield the findings of the captures in which the crashes of a cell were counted."""
    for entry in entries:
        capture = captures.read(entry.cell, entry.key, named=True)
        if capture is not None and accepts(capture):
            yield from findings_of(capture, planned.probes, probes)


def _record_of(
    planned: PlannedCell,
    entries: list[Entry],
    captures: CaptureStore,
    probes: Mapping[str, Probe],
    accepts: CaptureFilter,
) -> CellRecord | None:
    """Return the findings of all captures of the cell; those of the newest replace older ones.

    Captures that failed for a transient reason, such as a lack of memory, come first.
    """
    found: dict[tuple[str, str], Finding] = {}
    newest: Entry | None = None
    where: CellLocation | None = None
    for entry in sorted(entries, key=lambda entry: not entry.transient):
        capture = captures.read(entry.cell, entry.key, named=True)
        if capture is None or not accepts(capture):
            continue
        newest, where = entry, CellLocation.of(capture) or where
        for finding in findings_of(capture, planned.probes, probes):
            if finding.reason is not Reason.NOT_RUN:
                found[finding.probe, finding.channel] = finding
    if newest is None:
        return None
    record = CellRecord.of(newest, planned, reused=True, fallback=False)
    return dataclasses.replace(record, findings=tuple(found.values()), where=where)
