"""What shards found, put together: the same whatever comes first, or twice. Pure.

Of equal results nothing is lost by taking one. Where two differ, a total order says which counts,
so that every collector of the same pieces finds the same.

From the pieces of a run to its verdicts, as if one machine had run all of it. Pure.

In a run on one machine, too, further controls are asked for until none is needed. Here they have
run already, as far as their shards came: what would be asked for now is missing.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterable, Mapping

from matrix.distributed.manifest import Manifest
from matrix.judging.cells import findings_of
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.events import CellFinished, Emit, RunFinished, VerdictReached
from matrix.runs.journal import Entry
from matrix.runs.progress import Progress
from matrix.runs.result import CellRecord, RunResult

__all__ = ["Merged", "ShardResult", "absent_of", "began", "best_of_cells", "conclude", "merge"]

Merged = Mapping[str, "ShardResult"]
"""Pieces by the key of their result."""

_NEVER = dt.datetime.min.replace(tzinfo=dt.timezone.utc)


@dataclasses.dataclass(frozen=True)
class ShardResult:
    """A cell that ended, and the sha256 of the file that holds its capture: the two go together."""

    entry: Entry
    capture: str


def merge(*parts: Iterable[ShardResult] | Merged) -> dict[str, ShardResult]:
    """Return one piece for each key: what ended over what is to be tried again, then the later."""
    best: dict[str, ShardResult] = {}
    for part in parts:
        for piece in part.values() if isinstance(part, Mapping) else part:
            _take(best, piece.entry.key, piece)
    return dict(sorted(best.items()))


def best_of_cells(merged: Merged) -> dict[str, ShardResult]:
    """Return the piece that counts for each cell, which may have results by several keys."""
    best: dict[str, ShardResult] = {}
    for piece in merged.values():
        _take(best, piece.entry.cell, piece)
    return best


def _take(best: dict[str, ShardResult], name: str, piece: ShardResult) -> None:
    held = best.get(name)
    if held is None or _rank(piece) > _rank(held):
        best[name] = piece


def _rank(piece: ShardResult) -> tuple[bool, dt.datetime, str, str]:
    """Return what orders all pieces; only equal ones have the same."""
    entry = piece.entry
    text = json.dumps(entry.to_json(), sort_keys=True)
    return not entry.transient, began(entry) or _NEVER, piece.capture, text


def began(entry: Entry) -> dt.datetime | None:
    """Return when a cell was started, None where it did not come so far as to be."""
    return dt.datetime.fromisoformat(entry.started) if entry.started else None


def absent_of(manifest: Manifest, pieces: Mapping[str, ShardResult]) -> list[PlannedCell]:
    """Return the cells that are missing: of those to run, then of the further controls."""
    absent = [each for each in manifest.plan.cells if each.cell.id not in pieces]
    return absent + _known(manifest, pieces)[1]


def conclude(
    manifest: Manifest,
    pieces: Mapping[str, ShardResult],
    why: Mapping[str, str],
    probes: Mapping[str, Probe],
    emit: Emit,
) -> RunResult:
    """Return the run that the pieces (by cell) make; `why` says of each missing cell what of it."""
    plan = manifest.plan
    progress, _ = _known(manifest, pieces)
    reserve = {each.cell.id for each in plan.fallbacks}
    records = []
    for planned in (*plan.cells, *plan.fallbacks):
        cell = planned.cell.id
        if cell in pieces:
            entry = pieces[cell].entry
            record = CellRecord.of(entry, planned, reused=False, fallback=cell in reserve)
        elif cell in why:
            record = _unseen(planned, why[cell], probes, fallback=cell in reserve)
            for finding in record.findings:
                progress.known.add(finding)
        else:
            continue
        records.append(record)
        emit(CellFinished(cell, record.reason, record.detail, record.seconds, reused=False))
    verdicts, late = progress.finish()
    for verdict in late:
        emit(VerdictReached(verdict))
    emit(RunFinished(interrupted=bool(why)))
    started, seconds = _span(pieces.values())
    return RunResult(
        plan,
        tuple(records),
        verdicts,
        started or plan.snapshot,
        seconds,
        interrupted=bool(why),
    )


def _known(
    manifest: Manifest, pieces: Mapping[str, ShardResult]
) -> tuple[Progress, list[PlannedCell]]:
    """Return what the pieces tell, and the further controls that are still needed after them."""
    plan = manifest.plan
    progress = Progress(plan)
    for planned in (*plan.cells, *plan.fallbacks):
        piece = pieces.get(planned.cell.id)
        if piece is None:
            continue
        where = piece.entry.where
        for finding in piece.entry.findings:
            progress.known.add(finding, contained=where is not None and bool(where.engine))
        progress.end(planned)
    return progress, [
        control for claim in plan.claims for control in progress.controls_for(claim.id)
    ]


def _unseen(
    planned: PlannedCell, why: str, probes: Mapping[str, Probe], *, fallback: bool
) -> CellRecord:
    cell = planned.cell.id
    capture = CellCapture(cell, "", None, (), (), "", 0.0, Reason.NOT_RUN, why)
    return CellRecord(
        cell=cell,
        probes=planned.probes,
        reason=Reason.NOT_RUN,
        detail=why,
        seconds=0.0,
        reused=False,
        fallback=fallback,
        key="",
        started="",
        findings=findings_of(capture, planned.probes, probes),
    )


def _span(pieces: Iterable[ShardResult]) -> tuple[dt.datetime | None, float]:
    """Return when the first cell began, and the seconds from then to the end of the last."""
    spans = [
        (start, start + dt.timedelta(seconds=piece.entry.seconds))
        for piece in pieces
        if (start := began(piece.entry)) is not None
    ]
    if not spans:
        return None, 0.0
    first = min(start for start, _ in spans)
    return first, (max(end for _, end in spans) - first).total_seconds()
