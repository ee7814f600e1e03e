"""From the pieces of a run to its verdicts, as if one machine had run all of it. Pure.

In a run on one machine, too, further controls are asked for until none is needed. Here they have
run already, as far as their shards came: what would be asked for now is missing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from matrix.judging import findings_of
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.sharding.manifest import Manifest
from matrix.sharding.merging import Piece, began
from matrix.verify.events import CellFinished, Emit, RunFinished, VerdictReached
from matrix.verify.progress import Progress
from matrix.verify.result import CellRecord, RunResult

__all__ = ["absent_of", "conclude"]


def absent_of(manifest: Manifest, pieces: Mapping[str, Piece]) -> list[PlannedCell]:
    """Return the cells that are missing: of those to run, then of the further controls."""
    absent = [each for each in manifest.plan.cells if each.cell.id not in pieces]
    return absent + _known(manifest, pieces)[1]


def conclude(
    manifest: Manifest,
    pieces: Mapping[str, Piece],
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


def _known(manifest: Manifest, pieces: Mapping[str, Piece]) -> tuple[Progress, list[PlannedCell]]:
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


def _span(pieces: Iterable[Piece]) -> tuple[dt.datetime | None, float]:
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
