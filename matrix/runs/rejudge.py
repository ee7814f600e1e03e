"""Judge the captures of earlier runs by the current rules, without building or running anything."""

from __future__ import annotations

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from matrix.interpreters.inspect import host_target
from matrix.judging.cells import findings_of
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.capture import CellCapture, CellLocation
from matrix.model.cell import Cell
from matrix.model.plan import Plan, PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding
from matrix.planning.locations import Targets, select_targets
from matrix.runs.events import (
    CellFinished,
    Emit,
    RunFinished,
    RunStarted,
    VerdictReached,
    WarningRaised,
)
from matrix.runs.interface import Clock
from matrix.runs.journal import Entry, Journal
from matrix.runs.record import CellRecord, Record
from matrix.runs.result_store import CaptureStore

CaptureFilter = Callable[[CellCapture], bool]


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
    for remark in reading.remarks:
        emit(WarningRaised(remark))
    entries_of: dict[str, list[Entry]] = defaultdict(list)
    for entry in reading.entries.values():
        entries_of[entry.cell].append(entry)
    findings = FindingTable()
    records = []
    contained = {cell for part in plan.parts if part.contained for cell in part.cells}
    for planned in (*plan.cells, *plan.fallbacks):
        entries = entries_of[planned.cell.id]
        if planned.cell in contained:
            entries = [entry for entry in entries if entry.contained] or entries
        record = _record(planned, entries, captures, probes, accepts)
        if record is None:
            continue
        records.append(record)
        for finding in record.findings:
            findings.add(finding, contained=record.contained)
        emit(CellFinished(record.id, record.reason, record.detail, record.seconds, reused=True))
    verdicts = judge(plan, findings)
    for verdict in verdicts:
        emit(VerdictReached(verdict))
    emit(RunFinished(interrupted=False))
    seconds = clock.seconds() - start
    return Record.of(plan, tuple(records), verdicts, started, seconds, warnings=reading.remarks)


def _record(
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
        capture = captures.read(entry.cell, entry.key)
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
