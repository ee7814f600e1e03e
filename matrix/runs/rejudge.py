"""`--rejudge`: verdicts from what was captured, by today's rules; nothing is built or run."""

from __future__ import annotations

import contextlib
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
from matrix.runs.captures import CaptureStore
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

__all__ = ["MadeBy", "captured_where", "rejudge"]

MadeBy = Callable[[CellCapture], bool]


def captured_where(results: Path, globs: Sequence[str] = ()) -> Targets:
    """Return where the captures in a results folder were made; no engine is asked."""
    with contextlib.closing(Journal(results / "journal.jsonl")) as journal:
        contained = any(map(_in_container, journal.read().entries.values()))
    return select_targets(_captured_targets(results / "captures"), globs, contained=contained)


def _captured_targets(folder: Path) -> tuple[str, ...]:
    """Return this machine's target, and the others that something was captured on."""
    found = set()
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(ValueError):
            found.add(Cell.parse(path.name).target)
    here = host_target()
    return (here, *sorted(found - {here}, reverse=True))  # x86_64, i686, aarch64


def rejudge(  # noqa: PLR0913 - the parts of a run that runs nothing
    plan: Plan,
    probes: Mapping[str, Probe],
    *,
    journal: Journal,
    captures: CaptureStore,
    clock: Clock,
    emit: Emit,
    made_by: MadeBy = lambda _capture: True,
) -> Record:
    """Judge the newest captures of the plan's cells; cells without one are not run.

    `made_by` says which captures count: those of one engine, or all.

    Unlike a run it takes captures by cell, also those that another app or probe made. Of a cell
    that a claim about containers is answered by, those of containers count where there are some.
    """
    started, start = clock.now(), clock.seconds()
    emit(RunStarted(plan, 0))
    reading = journal.read()
    for remark in reading.remarks:
        emit(WarningRaised(remark))
    recorded: dict[str, list[Entry]] = defaultdict(list)
    for entry in reading.entries.values():
        recorded[entry.cell].append(entry)
    known = FindingTable()
    records = []
    contained = _asked_in_containers(plan)
    for planned in (*plan.cells, *plan.fallbacks):
        cell = planned.cell.id
        entries = recorded[cell]
        if planned.cell in contained:
            entries = [entry for entry in entries if _in_container(entry)] or entries
        record = _record(planned, entries, captures, probes, made_by)
        if record is None:
            continue
        records.append(record)
        for finding in record.findings:
            known.add(finding, contained=record.contained)
        emit(CellFinished(record.id, record.reason, record.detail, record.seconds, reused=True))
    verdicts = judge(plan, known)
    for verdict in verdicts:
        emit(VerdictReached(verdict))
    emit(RunFinished(interrupted=False))
    seconds = clock.seconds() - start
    return Record.of(plan, tuple(records), verdicts, started, seconds, warnings=reading.remarks)


def _asked_in_containers(plan: Plan) -> set[Cell]:
    """Return the cells that claims about containers are answered by."""
    return {cell for part in plan.parts if part.contained for cell in part.cells}


def _in_container(entry: Entry) -> bool:
    return entry.where is not None and bool(entry.where.engine)


def _record(
    planned: PlannedCell,
    entries: list[Entry],
    captures: CaptureStore,
    probes: Mapping[str, Probe],
    made_by: MadeBy,
) -> CellRecord | None:
    """Return what the cell's captures show together: the newest has the last word.

    But for one that tells of its moment only, such as a lack of memory.
    """
    found: dict[tuple[str, str], Finding] = {}
    newest: Entry | None = None
    where: CellLocation | None = None
    for entry in sorted(entries, key=lambda entry: not entry.transient):
        capture = captures.read(entry.cell, entry.key)
        if capture is None or not made_by(capture):
            continue
        newest, where = entry, CellLocation.of(capture) or where
        for finding in findings_of(capture, planned.probes, probes):
            if finding.reason is not Reason.NOT_RUN:
                found[finding.probe, finding.channel] = finding
    if newest is None:
        return None
    return CellRecord(
        cell=planned.cell,
        probes=planned.probes,
        reason=newest.reason,
        detail=newest.detail,
        seconds=newest.seconds,
        reused=True,
        fallback=False,
        key=newest.key,
        started=newest.started,
        findings=tuple(found.values()),
        where=where,
    )
