"""Merge the results of shards, in any order, and judge them as one run. Pure.

Where two results differ, a total order decides which counts, so that every collector of the same
results comes to the same run.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from matrix.distributed.manifest import Manifest
from matrix.judging.cells import findings_of
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.events import CellFinished, Emit, RunFinished, VerdictReached
from matrix.runs.interface import capture_not_run
from matrix.runs.journal import Entry
from matrix.runs.progress import Progress
from matrix.runs.record import CellRecord, Record

ResultsByKey = Mapping[str, "ShardResult"]

_NEVER = dt.datetime.min.replace(tzinfo=dt.timezone.utc)


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """A cell that ended: its journal entry, and the sha256 and the path of its capture's file."""

    entry: Entry
    capture: str
    path: Path = dataclasses.field(compare=False)


def merge(*parts: Iterable[ShardResult] | ResultsByKey) -> dict[str, ShardResult]:
    """Return one result for each key: a final one over a transient one, then the later one."""
    best: dict[str, ShardResult] = {}
    for part in parts:
        for result in part.values() if isinstance(part, Mapping) else part:
            _take_better(best, result.entry.key, result)
    return dict(sorted(best.items()))


def best_by_cell(merged: ResultsByKey) -> dict[str, ShardResult]:
    """Return the result that counts for each cell, which may have results by several keys."""
    best: dict[str, ShardResult] = {}
    for result in merged.values():
        _take_better(best, result.entry.cell, result)
    return best


def _take_better(best: dict[str, ShardResult], name: str, result: ShardResult) -> None:
    current = best.get(name)
    if current is None or _rank(result) > _rank(current):
        best[name] = result


def _rank(result: ShardResult) -> tuple[bool, dt.datetime, str, str]:
    """Return a sort key; only equal results have the same."""
    entry = result.entry
    text = json.dumps(entry.to_json(), sort_keys=True)
    return not entry.transient, start_time(entry) or _NEVER, result.capture, text


def start_time(entry: Entry) -> dt.datetime | None:
    """Return when a cell was started, None where it was not."""
    return dt.datetime.fromisoformat(entry.started) if entry.started else None


def find_absent(manifest: Manifest, results: Mapping[str, ShardResult]) -> list[PlannedCell]:
    """Return the planned cells without a result, then the further controls that are needed."""
    absent = [planned for planned in manifest.plan.cells if planned.cell.id not in results]
    return absent + _replay(manifest, results)[1]


def build_run_result(
    manifest: Manifest,
    results: Mapping[str, ShardResult],
    missing: Mapping[str, str],
    probes: Mapping[str, Probe],
    emit: Emit,
) -> Record:
    """Return the run that the results (by cell) make; `missing` has the reason by missing cell."""
    plan = manifest.plan
    progress, _ = _replay(manifest, results)
    reserve = {planned.cell.id for planned in plan.fallbacks}
    records = []
    for planned in (*plan.cells, *plan.fallbacks):
        cell = planned.cell.id
        fallback = cell in reserve
        if cell in results:
            record = CellRecord.of(results[cell].entry, planned, reused=False, fallback=fallback)
        elif cell in missing:
            reason, detail = Reason.NOT_RUN, missing[cell]
            capture = capture_not_run(planned, "", reason, detail)
            findings = findings_of(capture, planned.probes, probes)
            record = CellRecord(
                planned.cell, planned.probes, reason, detail, fallback=fallback, findings=findings
            )
            for finding in findings:
                progress.findings.add(finding)
        else:
            continue
        records.append(record)
        emit(CellFinished(cell, record.reason, record.detail, record.seconds, reused=False))
    verdicts, late = progress.finish()
    for verdict in late:
        emit(VerdictReached(verdict))
    emit(RunFinished(interrupted=bool(missing)))
    started, seconds = _span(results.values())
    return Record.of(
        plan, tuple(records), verdicts, started or plan.snapshot, seconds, interrupted=bool(missing)
    )


def _replay(
    manifest: Manifest, results: Mapping[str, ShardResult]
) -> tuple[Progress, list[PlannedCell]]:
    """Return the progress after all results, and the further controls that it still needs."""
    plan = manifest.plan
    progress = Progress(plan)
    for planned in (*plan.cells, *plan.fallbacks):
        result = results.get(planned.cell.id)
        if result is None:
            continue
        for finding in result.entry.findings:
            progress.findings.add(finding, contained=result.entry.contained)
        progress.end(planned)
    return progress, [
        control for claim in plan.claims for control in progress.controls_for(claim.id)
    ]


def _span(results: Iterable[ShardResult]) -> tuple[dt.datetime | None, float]:
    """Return when the first cell started, and the seconds from then to the end of the last."""
    spans = [
        (start, start + dt.timedelta(seconds=result.entry.seconds))
        for result in results
        if (start := start_time(result.entry)) is not None
    ]
    if not spans:
        return None, 0.0
    first = min(start for start, _ in spans)
    return first, (max(end for _, end in spans) - first).total_seconds()
