"""The scheduler of a run: environments ahead of cells, cells in plan order, verdicts when known.

One thread, the caller's, takes every decision; it sleeps on a queue of messages. Builder threads
and the runner put messages there, and so does `stop`, which a signal handler may call.
"""

from __future__ import annotations

import dataclasses
import queue
from collections.abc import Iterable, Mapping
from concurrent.futures import Future

from matrix.environments.errors import BuildError
from matrix.judging.cells import findings_of
from matrix.model.capture import CellCapture
from matrix.model.plan import Plan, PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.runs.builders import Builders, BuildResult
from matrix.runs.events import (
    CellFinished,
    CellStarted,
    ControlAdded,
    Emit,
    EnvironmentFailed,
    EnvironmentReady,
    EnvironmentRequested,
    Message,
    RunFinished,
    RunStarted,
    VerdictReached,
    WarningRaised,
)
from matrix.runs.interface import (
    NOT_NEEDED,
    STOPPED,
    CellRequest,
    CellResult,
    RunContext,
    capture_not_built,
    capture_not_run,
)
from matrix.runs.journal import Entry
from matrix.runs.keys import (
    environment_text,
    missing_environment_text,
    peek_environment,
    result_key,
)
from matrix.runs.progress import Progress
from matrix.runs.ready_queue import QueuedCell, ReadyQueue
from matrix.runs.record import CellRecord, Record
from matrix.runs.result_store import ResultStore
from matrix.system.timings import JUDGE, TIMINGS

_Running = Future[CellResult]
_Message = BuildResult | _Running | Message | None
"""None ends the loop."""

# Reasons of one cell by which nothing can run any more, and the thing that was lost.
_LOST = {Reason.ENGINE_LOST: "container engine", Reason.CLUSTER_LOST: "cluster"}


class Scheduler:
    """One run of one plan; `run` is called once."""

    def __init__(
        self,
        plan: Plan,
        probes: Mapping[str, Probe],
        context: RunContext,
        store: ResultStore,
        emit: Emit,
    ) -> None:
        self._plan = plan
        self._probes = probes
        self._context = context
        self._store = store
        self._emit = emit
        self._progress = Progress(plan)
        # Reentrant: a signal handler may put while the loop gets.
        self._messages: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._cells: dict[int, QueuedCell] = {}
        self._ready = ReadyQueue(context.emulated, context.emulated_jobs, self._progress.is_needed)
        self._running: dict[_Running, QueuedCell] = {}
        self._records: list[CellRecord] = []
        self._queued = 0
        self._warnings: dict[str, None] = {}
        self._interrupted = False
        self._lost, self._lost_to = "", Reason.ENGINE_LOST
        self._builders: Builders | None = None
        if context.environments is not None:
            self._builders = Builders(
                context.environments,
                self._messages.put,
                context.clock,
                context.builders,
                self._report,
            )

    def stop(self) -> None:
        """End the run soon, with the results so far; safe in a signal handler and in any thread."""
        self._messages.put(None)

    def run(self) -> Record:
        """Run the plan to its end or until `stop`, and return the record."""
        context = self._context
        started, start = context.clock.now(), context.clock.seconds()
        self._emit(RunStarted(self._plan, context.jobs, context.engine, context.place))
        self._warn_of_damage()
        try:
            self._reach(claim.id for claim in self._plan.claims)
            self._add(self._plan.cells, fallback=False)
            while self._cells and not self._interrupted and not self._lost:
                self._start_cells()
                message = self._messages.get()
                with TIMINGS.phase(JUDGE):
                    self._handle(message)
        finally:
            if self._builders:
                self._builders.stop()
            if self._cells:
                context.runner.kill()
        self._give_up()
        verdicts, late = self._progress.finish()
        for verdict in late:
            self._emit(VerdictReached(verdict))
        self._emit(RunFinished(self._interrupted))
        return Record.of(
            self._plan,
            tuple(self._records),
            verdicts,
            started,
            context.clock.seconds() - start,
            interrupted=self._interrupted,
            warnings=tuple(self._warnings),
            lost=self._lost,
            lost_to=self._lost_to,
        )

    def _add(self, planned_cells: Iterable[PlannedCell], *, fallback: bool) -> None:
        """Queue cells; results of earlier runs are reused, missing environments requested."""
        cells = []
        for planned in planned_cells:
            order = self._queued
            self._queued += 1
            # Controls that a claim waits for go before all cells that have not begun.
            cell = QueuedCell(-order if fallback else order, planned, fallback)
            self._cells[cell.order] = cell
            cells.append(cell)
        for cell in self._to_run(cells, self._builders) if self._builders else cells:
            if self._builders is None or cell.environment is not None:
                self._ready.put(cell)
            else:
                self._emit(EnvironmentRequested(cell.id))
                self._builders.request(cell.order, cell.planned)

    def _to_run(self, cells: Iterable[QueuedCell], builders: Builders) -> list[QueuedCell]:
        """Return the cells without a result, with their environments where these are ready."""
        remaining = []
        for cell in cells:
            try:
                cell.environment, text = peek_environment(builders.environments, cell.planned)
            except BuildError as error:
                # Recorded with a key like all others: the journal has every cell that ended.
                self._set_key(cell, missing_environment_text(error.reason))
                self._fail(cell, error)
                continue
            if not self._reuse(cell, text):
                remaining.append(cell)
        return remaining

    def _reuse(self, cell: QueuedCell, environment: str) -> bool:
        """Record the journal's result of the cell in an environment, which a text is of, if any."""
        self._set_key(cell, environment)
        return self._record_earlier(cell)

    def _record_earlier(self, cell: QueuedCell) -> bool:
        entry = self._store.find(cell.base, cell.planned, self._probes)
        self._warn_of_damage()
        if entry is not None:
            self._record(cell, entry, reused=True)
        return entry is not None

    def _set_key(self, cell: QueuedCell, environment: str, base: str = "") -> None:
        """Set the key of the cell's result in an environment, which `base` or a text is of."""
        cell.base = base or self._store.base(cell.planned, environment)
        cell.key = result_key(cell.base, cell.planned, self._probes)

    def _start_cells(self) -> None:
        while len(self._running) < self._context.jobs:
            cell = self._ready.take(self._running.values())
            if cell is None:
                return
            if cell.order not in self._cells:
                continue  # it was left out
            if cell.environment is not None:
                # Where the runner finds environments, nobody reports when a cell begins.
                self._emit(CellStarted(cell.id))
            request = CellRequest(cell.order, cell.planned, cell.environment, cell.key)
            future = self._context.runner.submit(request, self._report)
            self._running[future] = cell
            future.add_done_callback(self._messages.put)

    def _handle(self, message: _Message) -> None:
        if message is None:
            self._interrupted = True
        elif isinstance(message, Message):
            self._emit(message)
        elif isinstance(message, BuildResult):
            self._end_build(message)
        else:
            self._end_cell(self._running.pop(message), message.result())

    def _end_build(self, built: BuildResult) -> None:
        cell = self._cells.get(built.order)
        if cell is None:
            return  # it was left out while its environment was built
        if isinstance(built.outcome, BuildError):
            self._emit(EnvironmentFailed(cell.id, built.outcome.reason, built.outcome.detail))
            self._fail(cell, built.outcome)
            return
        self._emit(EnvironmentReady(cell.id, built.seconds))
        for notice in built.outcome.notices:
            self._warn(notice)
        cell.environment = built.outcome
        if not self._reuse(cell, environment_text(built.outcome)):
            self._ready.put(cell)

    def _fail(self, cell: QueuedCell, error: BuildError) -> None:
        """Record a cell without an environment."""
        started, engine = self._context.iso_time(), self._context.engine
        self._keep(cell, capture_not_built(cell.planned, cell.key, error, started, engine))

    def _end_cell(self, cell: QueuedCell, result: CellResult) -> None:
        """Record the result of a cell, or the earlier result that the runner found to be known."""
        capture = result.capture
        if result.notice:
            self._warn(result.notice)
        if cell.environment is None:
            reason = (capture and capture.failed) or Reason.INTERNAL_ERROR
            self._set_key(cell, missing_environment_text(reason), result.base)
        if capture is None:
            if self._record_earlier(cell):
                return
            detail = "its result was taken for a known one, and is not known"
            capture = capture_not_run(cell.planned, cell.key, Reason.INTERNAL_ERROR, detail)
        if cell.environment is not None:
            # A cell on a cluster says itself where it ran.
            engine = capture.engine or self._context.engine_of(cell.environment)
            capture = dataclasses.replace(capture, engine=engine)
        self._keep(cell, dataclasses.replace(capture, key=cell.key))

    def _keep(self, cell: QueuedCell, capture: CellCapture) -> None:
        if capture.failed in _LOST:
            # Nothing is recorded of the cell. All others would wait as long, one after the other.
            if not self._lost:
                self._lost, self._lost_to = capture.detail or "it does not answer", capture.failed
            return
        TIMINGS.add(capture.costs)
        entry, warning = self._store.keep(capture, cell.base, cell.planned, self._probes)
        if warning:
            self._warn(warning)
        self._record(cell, entry, reused=False)

    def _record(self, cell: QueuedCell, entry: Entry, *, reused: bool) -> None:
        record = CellRecord.of(entry, cell.planned, reused=reused, fallback=cell.fallback)
        del self._cells[cell.order]
        if cell.planned.count is None:
            self._records.append(record)  # the count is evidence on the minimum, not a result
        if cell.environment is not None and cell.environment.instead:
            self._warn(cell.environment.instead)
        for finding in record.findings:
            if cell.planned.count is None:
                self._progress.findings.add(finding, contained=record.contained)
            else:
                self._progress.findings.add_counts(finding)
        self._emit(
            CellFinished(record.id, record.reason, record.detail, record.seconds, record.reused)
        )
        claims = self._progress.end(cell.planned)
        for claim in claims:
            for control in self._progress.controls_for(claim):
                self._emit(ControlAdded(control.cell.id, claim))
                self._add((control,), fallback=True)
        self._reach(claims)
        if self._context.first_answer and self._progress.refutes(claims):
            self._leave_out_unneeded()

    def _leave_out_unneeded(self) -> None:
        """Record the cells that can change no outcome any more as not needed, without a line in the
        journal.
        """
        running = {cell.order for cell in self._running.values()}
        for cell in [cell for cell in self._cells.values() if cell.order not in running]:
            planned = cell.planned
            if self._progress.is_needed(planned):
                continue
            del self._cells[cell.order]
            if self._builders:
                self._builders.withdraw(cell.order)
            self._record_unrun(cell, Reason.NOT_NEEDED, NOT_NEEDED)
            self._emit(CellFinished(cell.id, Reason.NOT_NEEDED, NOT_NEEDED, 0.0, reused=False))
            self._reach(self._progress.end(planned))

    def _reach(self, claims: Iterable[str]) -> None:
        for verdict in self._progress.reach(claims):
            self._emit(VerdictReached(verdict))

    def _give_up(self) -> None:
        """Record the cells that did not end, without a line in the journal."""
        reason, detail = Reason.INTERRUPTED, STOPPED
        if self._lost and self._cells:
            reason, detail = self._lost_to, self._lost
            self._warn(f"the {_LOST[reason]} was lost ({detail}): {len(self._cells)} cells not run")
        for cell in sorted(self._cells.values(), key=lambda cell: cell.order):
            self._record_unrun(cell, reason, detail)
        self._cells.clear()

    def _record_unrun(self, cell: QueuedCell, reason: Reason, detail: str) -> None:
        planned = cell.planned
        if planned.count is not None:
            return
        capture = capture_not_run(planned, cell.key, reason, detail)
        for finding in findings_of(capture, planned.probes, self._probes):
            self._progress.findings.add(finding)
        record = CellRecord(planned.cell, planned.probes, reason, detail, key=cell.key)
        self._records.append(dataclasses.replace(record, fallback=cell.fallback))

    def _report(self, text: str) -> None:
        self._messages.put(Message(text))

    def _warn_of_damage(self) -> None:
        for remark in self._store.remarks:
            self._warn(remark)

    def _warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings[message] = None
            self._emit(WarningRaised(message))
