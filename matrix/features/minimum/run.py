"""Search for minimums by running real cells: the oracle of a search, and the searches of a run."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.features.minimum.observations import (
    OracleReply,
    ReleaseSearchResult,
    ReleaseState,
    SearchEvent,
)
from matrix.features.minimum.scout import with_most_starts
from matrix.features.minimum.search import Bisection, Exhaustive, JointSearch
from matrix.features.minimum.search_plan import SearchPlan, searched_probes
from matrix.judging.sentences import evidence_text
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.probes.registry import load_probes
from matrix.runs import events
from matrix.runs.backend import RunBackend
from matrix.runs.events import Emit
from matrix.runs.interface import Clock, RunContext, SystemClock
from matrix.runs.record import CellRecord
from matrix.runs.result_store import ResultStore
from matrix.runs.run import open_results, stopping
from matrix.runs.scheduler import Scheduler
from matrix.runs.setup import RunOptions, run_context
from matrix.system.paths import results_dir

_PROFILE = "minimum"
# The most releases that run at a time for one answer; more would mostly run in vain.
_MOST_AT_A_TIME = 4
# The run ended before the release could answer.
_UNANSWERED = frozenset({Reason.INTERRUPTED, Reason.ENGINE_LOST, Reason.CLUSTER_LOST})
_ANSWERS = {
    Observed.PRESENT: ReleaseState.WORKS,
    Observed.ABSENT: ReleaseState.FAILS,
    Observed.UNKNOWN: ReleaseState.CANNOT_TELL,
}


@dataclasses.dataclass(frozen=True)
class MinimumOptions(RunOptions):
    """The options of a search: those of a run, and whether it tests every release.

    With `upper` it also searches for the last release that works.
    """

    exhaustive: bool = False
    upper: bool = False


@dataclasses.dataclass(frozen=True)
class SearchPlanStarted:
    """A search begins, for all its channels; at most `bound` releases are tested for each."""

    plan: SearchPlan
    bound: int


@dataclasses.dataclass(frozen=True)
class ReleasesSearched:
    """A step of the search for one channel."""

    channel: str
    event: SearchEvent


EmitSearch: TypeAlias = Callable[[events.Event | SearchPlanStarted | ReleasesSearched], None]


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """The result of a search for each channel, and its cells, in the order they ended."""

    plan: SearchPlan
    results: Mapping[str, ReleaseSearchResult]
    records: tuple[CellRecord, ...]
    exhaustive: bool
    upper: bool
    started: dt.datetime
    seconds: float
    interrupted: bool
    lost: str
    warnings: tuple[str, ...]


def search_minimums(
    plans: Sequence[SearchPlan], options: MinimumOptions, emit: EmitSearch, backend: RunBackend
) -> tuple[SearchResult, ...]:
    """Search on `backend`, one plan after the other; raise `UserError`.

    One run at a time uses the results folder. Ctrl-C and SIGTERM end a search softly.
    """
    probes = searched_probes(load_probes(), plans)
    with open_results(results_dir()) as results:
        store = results.store(options, probes)
        with run_context(results.folder, options, probes, backend) as context:
            oracle = CellOracle(probes, context, store, emit)
            with stopping(oracle.stop):
                chosen = (with_most_starts(plan, oracle.check, _starts) for plan in plans)
                return tuple(search_minimum(plan, oracle, options, emit) for plan in chosen)


def search_minimum(
    plan: SearchPlan,
    oracle: CellOracle,
    options: MinimumOptions,
    emit: EmitSearch,
    clock: Clock | None = None,
) -> SearchResult:
    """Search for the minimum of one plan, for all its channels at once."""
    clock = clock or SystemClock()
    started, start = clock.now(), clock.seconds()
    releases = tuple(plan.cells)
    strategy = Exhaustive() if options.exhaustive else Bisection(upper=options.upper)
    search = JointSearch(plan.channels, releases, strategy, plan.documented)
    width = len(releases) if options.exhaustive else min(options.jobs, _MOST_AT_A_TIME)
    records: list[CellRecord] = []

    emit(SearchPlanStarted(plan, strategy.bound(len(releases))))
    release_of = {planned.cell: release for release, planned in plan.cells.items()}
    while not oracle.ended and (requested := search.next_round(width)):
        tested = oracle.check(plan, requested)
        records += tested
        replies = {release_of[record.cell]: _replies(record.findings, plan) for record in tested}
        # In the order of the request: equal answers make equal searches, whatever ends first.
        in_order = {release: replies[release] for release in requested if release in replies}
        for channel, event in search.add_replies(in_order):
            emit(ReleasesSearched(channel, event))
    return SearchResult(
        plan=plan,
        results={name: _with_bounds(plan, result) for name, result in search.results.items()},
        records=tuple(records),
        exhaustive=options.exhaustive,
        upper=options.upper,
        started=started,
        seconds=clock.seconds() - start,
        interrupted=oracle.stopped,
        lost=oracle.lost,
        warnings=tuple(oracle.warnings),
    )


class CellOracle:
    """Runs the cells of searches, each release once; results in the journal are reused."""

    def __init__(
        self, probes: Mapping[str, Probe], context: RunContext, store: ResultStore, emit: Emit
    ) -> None:
        self._probes = probes
        self._context = context
        self._store = store
        self._emit = emit
        self._scheduler: Scheduler | None = None
        self._own: set[str] = set()
        self.stopped = False
        self.lost = ""
        self.warnings: dict[str, None] = {}

    @property
    def ended(self) -> bool:
        """Return whether no more releases can be tested."""
        return self.stopped or bool(self.lost)

    def stop(self) -> None:
        """Test no more releases, and keep the results; safe in a signal handler."""
        self.stopped = True
        if self._scheduler is not None:
            self._scheduler.stop()

    def check(self, plan: SearchPlan, releases: Sequence[str]) -> tuple[CellRecord, ...]:
        """Return the records of the cells of these releases, without those that could not end."""
        cells = tuple(plan.cells[release] for release in releases)
        run_plan = Plan(_PROFILE, plan.snapshot, (), (), cells, (), (), (plan.target,))
        scheduler = Scheduler(run_plan, self._probes, self._context, self._store, self._emit)
        self._scheduler = scheduler
        if self.ended:
            return ()
        record = scheduler.run()
        self.stopped = self.stopped or record.run.interrupted
        self.lost = self.lost or record.run.lost
        self.warnings.update(dict.fromkeys(record.run.warnings))
        # What was run to choose the framework is not reused from an earlier search.
        self._own.update(cell.key for cell in record.cells if not cell.reused)
        return tuple(
            dataclasses.replace(cell, reused=cell.reused and cell.key not in self._own)
            for cell in record.cells
            if cell.reason not in _UNANSWERED
        )


def reply_for(finding: Finding | None) -> OracleReply:
    """Return the answer that a finding gives for its release.

    It works where the channel showed and its negative control was silent, and fails where it did
    not show in any repeat of a process that lived.
    """
    if finding is None:
        return OracleReply(ReleaseState.CANNOT_TELL, Reason.NOT_RUN.value)
    reason = f"{finding.reason.value}: " if finding.reason else ""
    return OracleReply(_ANSWERS[finding.shows], f"{reason}{evidence_text(finding.facts)}")


def _starts(plan: SearchPlan, record: CellRecord) -> bool:
    replies = _replies(record.findings, plan).values()
    return any(reply.answer is not ReleaseState.CANNOT_TELL for reply in replies)


def _with_bounds(plan: SearchPlan, result: ReleaseSearchResult) -> ReleaseSearchResult:
    """Return the result, not exact where earlier releases were excluded from the search."""
    first = next(iter(plan.cells))
    if result.observed != first or not any(Version(x) < Version(first) for x in plan.deselected):
        return result
    assumption = f"releases before {first} were not searched: an earlier release may work"
    return dataclasses.replace(result, exact=False, assumptions=(*result.assumptions, assumption))


def _replies(findings: Iterable[Finding], plan: SearchPlan) -> dict[str, OracleReply]:
    by_channel = {item.channel: item for item in findings if item.probe == plan.probe}
    return {channel: reply_for(by_channel.get(channel)) for channel in plan.channels}
