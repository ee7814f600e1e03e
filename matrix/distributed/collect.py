"""Collect a run from the folders of its shards: merge their results, and compare with the plan.

They are judged as one run, and written to where a run on this machine would have left them. Where
two results differ, a total order decides which counts, so that every collector of the same results
comes to the same run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from matrix.distributed.gather import (
    DEFAULT_LIMITS,
    GatherLimits,
    JudgeRules,
    ShardResult,
    gather,
    shard_folders,
)
from matrix.distributed.manifest import Manifest
from matrix.distributed.shard_run import CAPTURES, JOURNAL, ShardStatus, capture_digest
from matrix.distributed.untrusted import RefusedError, read_file, sha256
from matrix.errors import IncompleteRunError
from matrix.judging.cells import findings_of
from matrix.model.plan import Plan, PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.events import CellFinished, Emit, RunFinished, RunStarted, VerdictReached
from matrix.runs.interface import capture_not_run
from matrix.runs.journal import Entry, Journal
from matrix.runs.progress import Progress
from matrix.runs.record import CellRecord, Record
from matrix.runs.result_store import CaptureStore

ResultsByKey = Mapping[str, ShardResult]
_NEVER = dt.datetime.min.replace(tzinfo=dt.timezone.utc)

_NEVER_RAN = "never ran"
_REFUSED = "its results were refused"
_CAUSES = {
    None: "killed, or still running",
    ShardStatus.INTERRUPTED: "interrupted",
    ShardStatus.LOST: "the container engine was lost",
    ShardStatus.UNSAVED: "not all results could be written",
    ShardStatus.COMPLETE: "some of its results were refused",
}
_MAX_NAMES = 3


@dataclasses.dataclass(frozen=True)
class MissingCells:
    """The missing cells of a shard, out of `expected`, and the cause."""

    shard: str
    cells: tuple[str, ...]
    expected: int
    cause: str

    def __str__(self) -> str:
        names = ", ".join(self.cells[:_MAX_NAMES])
        more = len(self.cells) - _MAX_NAMES
        tail = f" and {more} more" if more > 0 else ""
        return (
            f"{self.shard}: {self.cause}: {len(self.cells)} of {self.expected} cells missing"
            f" ({names}{tail})"
        )


@dataclasses.dataclass(frozen=True)
class CollectedRun:
    """The combined results of shards: `merged`.

    `refused` and `missing` keep the run from being complete. `warnings` are those of the shards,
    whose number is `shards`.
    """

    manifest: Manifest
    merged: ResultsByKey
    refused: tuple[str, ...]
    missing: tuple[MissingCells, ...]
    warnings: tuple[str, ...]
    shards: int

    @property
    def results(self) -> dict[str, ShardResult]:
        """Return the result that counts for each cell."""
        return best_by_cell(self.merged)

    @property
    def problems(self) -> tuple[str, ...]:
        """Return everything that keeps the run from being complete, as messages."""
        return (*self.refused, *map(str, self.missing))

    def judge(self, probes: Mapping[str, Probe], emit: Emit) -> Record:
        """Return the run that the results make; missing cells count as not run."""
        causes = {
            cell: f"{missing.shard}: {missing.cause}"
            for missing in self.missing
            for cell in missing.cells
        }
        plan, results = self.manifest.plan, self.results
        place = f"collected from {self.shards} of {len(self.manifest.shards)} shards"
        emit(RunStarted(plan, 1, place=place))
        progress, _ = _replay(plan, self.merged)
        reserve = {planned.cell.id for planned in plan.fallbacks}
        records = []
        for planned in (*plan.cells, *plan.fallbacks):
            cell = planned.cell.id
            fallback = cell in reserve
            if cell in results:
                entry = results[cell].entry
                record = CellRecord.of(entry, planned, reused=False, fallback=fallback)
            elif cell in causes:
                record = _not_run(planned, causes[cell], probes, fallback=fallback)
                for finding in record.findings:
                    progress.findings.add(finding)
            else:
                continue
            records.append(record)
            emit(CellFinished(cell, record.reason, record.detail, record.seconds, reused=False))
        verdicts, late = progress.finish()
        for verdict in late:
            emit(VerdictReached(verdict))
        emit(RunFinished(interrupted=bool(causes)))
        started, seconds = _span(results.values())
        return Record.of(
            plan,
            tuple(records),
            verdicts,
            started or plan.snapshot,
            seconds,
            interrupted=bool(causes),
            warnings=(*self.problems, *self.warnings),
        )

    def error(self) -> IncompleteRunError | None:
        """Return the error of an incomplete run, None for a complete one."""
        if not self.problems:
            return None
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        names = " ".join(missing.shard for missing in self.missing)
        fresh = " (with --fresh where something was refused)" if self.refused else ""
        return IncompleteRunError(
            f"{'the run is not complete' if names else 'some results were refused'}:\n{lines}",
            f"Run again{fresh}, then collect again: verify --shard, for {names}."
            if names
            else "Leave the refused folders out, or find out where they come from.",
        )


def collect(
    manifest: Manifest,
    folders: Iterable[Path],
    rules: JudgeRules,
    limits: GatherLimits = DEFAULT_LIMITS,
) -> CollectedRun:
    """Return the results of a run in the folders, whose order does not matter."""
    shards, refused = shard_folders(folders, limits)
    ends: dict[str, list[ShardStatus | None]] = defaultdict(list)
    merged: dict[str, ShardResult] = {}
    causes: dict[str, str] = {}
    problems, warnings = list(refused), []
    for path in sorted(shards, key=str):
        folder = gather(path, manifest, rules, limits)
        problems += folder.problems
        if folder.shard and folder.refused:
            causes.setdefault(folder.shard, _REFUSED)
        elif folder.shard:
            ends[folder.shard].append(folder.ended)
            warnings += [f"{folder.shard}: {warning}" for warning in folder.warnings]
        merged = merge(merged, folder.results)
    results = best_by_cell(merged)
    further = _replay(manifest.plan, merged)[1]
    absent = {planned.cell.id for planned in (*manifest.plan.cells, *further)} - results.keys()
    # A shard whose run ended counted all that it could.
    open_cells = {
        cell
        for shard in manifest.shards
        if ShardStatus.COMPLETE not in ends.get(shard.name, ())
        for cell in (*shard.cells, *shard.reserve)
    }
    absent |= {item.cell.id for item in further if item.count} & open_cells
    for shard, statuses in ends.items():
        causes[shard] = "; ".join(dict.fromkeys(_CAUSES[status] for status in statuses))
    return CollectedRun(
        manifest,
        merged,
        tuple(problems),
        tuple(_find_missing(manifest, absent, causes)),
        tuple(dict.fromkeys(warnings)),
        len(ends),
    )


def write_results(merged: ResultsByKey, results: Path) -> int:
    """Write the results that are not there yet, and return their number.

    A result of the same key is replaced, as by a new run, but a final result is not replaced by a
    transient one. A capture is written before its journal entry, so that an interrupted call can be
    repeated. Raises StorageError, and IncompleteRunError where a file has changed since then.
    """
    captures = CaptureStore(results / CAPTURES)
    written = 0
    with contextlib.closing(Journal(results / JOURNAL)) as journal:
        entries = journal.read().entries
        for result in sorted(merged.values(), key=lambda r: (r.entry.started, r.entry.key)):
            cell, key = result.entry.cell, result.entry.key
            current, digest = entries.get(key), capture_digest(captures, cell, key)
            same_capture = digest == result.capture
            if same_capture and current == result.entry:
                continue
            if current and digest and result.entry.transient and not current.transient:
                continue
            if not same_capture:
                captures.put(cell, key, _read_capture(result))
            journal.append(result.entry)
            written += 1
    return written


def _find_missing(
    manifest: Manifest, absent: Collection[str], causes: Mapping[str, str]
) -> Iterator[MissingCells]:
    """Yield the shards that lack any of the `absent` cells; `causes` is by shard."""
    for shard in manifest.shards:
        cells = tuple(cell for cell in (*shard.cells, *shard.reserve) if cell in absent)
        if cells:
            expected = len(shard.cells) + sum(cell in absent for cell in shard.reserve)
            yield MissingCells(shard.name, cells, expected, causes.get(shard.name, _NEVER_RAN))


def _read_capture(result: ShardResult) -> bytes:
    hint = "Collect again when nothing writes there any more."
    try:
        content = read_file(result.path, DEFAULT_LIMITS.capture)
    except RefusedError as error:
        raise IncompleteRunError(f"{result.path} {error}", hint) from error
    if sha256(content) != result.capture:
        raise IncompleteRunError(f"{result.path} has changed while it was collected", hint)
    return content


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
        if not result.entry.count:
            _take_better(best, result.entry.cell, result)
    return best


def _best_counts(merged: ResultsByKey) -> dict[str, ShardResult]:
    """Return the result that counts for each cell and subject of which crashes were counted."""
    best: dict[str, ShardResult] = {}
    for result in merged.values():
        if result.entry.count:
            _take_better(best, f"{result.entry.cell} {result.entry.count}", result)
    return best


def _take_better(best: dict[str, ShardResult], name: str, result: ShardResult) -> None:
    current = best.get(name)
    if current is None or _rank(result) > _rank(current):
        best[name] = result


def _rank(result: ShardResult) -> tuple[bool, dt.datetime, str, str]:
    """Return a sort key; only equal results have the same."""
    entry = result.entry
    text = json.dumps(entry.to_json(), sort_keys=True)
    return not entry.transient, _start_time(entry) or _NEVER, result.capture, text


def _start_time(entry: Entry) -> dt.datetime | None:
    """Return when a cell was started, None where it was not."""
    return dt.datetime.fromisoformat(entry.started) if entry.started else None


def _not_run(
    planned: PlannedCell, detail: str, probes: Mapping[str, Probe], *, fallback: bool
) -> CellRecord:
    cell, names, reason = planned.cell, planned.probes, Reason.NOT_RUN
    findings = findings_of(capture_not_run(planned, "", reason, detail), names, probes)
    return CellRecord(cell, names, reason, detail, fallback=fallback, findings=findings)


def _replay(plan: Plan, merged: ResultsByKey) -> tuple[Progress, list[PlannedCell]]:
    """Return the progress after all results, and the further controls and counts that it needs."""
    progress = Progress(plan)
    results, counts = best_by_cell(merged), _best_counts(merged)
    for planned in (*plan.cells, *plan.fallbacks):
        result = results.get(planned.cell.id)
        if result is None:
            continue
        for finding in result.entry.findings:
            progress.findings.add(finding, contained=result.entry.contained)
        progress.end(planned)
    for result in counts.values():
        for finding in result.entry.findings:
            progress.findings.add_counts(finding)
    further = (control for claim in plan.claims for control in progress.controls_for(claim.id))
    return progress, [
        item
        for item in further
        if item.count is None or f"{item.cell.id} {item.count.text}" not in counts
    ]


def _span(results: Iterable[ShardResult]) -> tuple[dt.datetime | None, float]:
    """Return when the first cell started, and the seconds from then to the end of the last."""
    spans = [
        (start, start + dt.timedelta(seconds=result.entry.seconds))
        for result in results
        if (start := _start_time(result.entry)) is not None
    ]
    if not spans:
        return None, 0.0
    first = min(start for start, _ in spans)
    return first, (max(end for _, end in spans) - first).total_seconds()
