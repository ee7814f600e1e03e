"""The least release in which something works: searches, with real cells for an oracle.

Asks releases by running their cells: the oracle of a search, for all channels of a probe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from matrix.features.minimum.bisect import Bisection, Exhaustive
from matrix.features.minimum.observations import Event as SearchEvent
from matrix.features.minimum.observations import (
    OracleReply,
    ReleaseSearchResult,
    ReleaseState,
    SearchState,
    StepCause,
    TestedRelease,
    summarize_search,
)
from matrix.features.minimum.search import JointSearch
from matrix.features.minimum.search_plan import SearchPlan
from matrix.judging.sentences import evidence_text
from matrix.model.plan import Plan
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.probes.registry import load_probes
from matrix.runs import events
from matrix.runs.backend import RunBackend
from matrix.runs.captures import CaptureStore
from matrix.runs.events import Emit
from matrix.runs.interface import Clock, SystemClock
from matrix.runs.journal import Journal, lock_results
from matrix.runs.keys import cell_sources, judge_key, judge_sources
from matrix.runs.record import CellRecord
from matrix.runs.result_store import ResultStore
from matrix.runs.run import stopping
from matrix.runs.scheduler import RunContext, Scheduler
from matrix.runs.setup import SetupOptions, run_context
from matrix.services.external import ExternalService
from matrix.system.paths import results_dir

__all__ = [
    "CellOracle",
    "EmitSearch",
    "MinimumOptions",
    "ReleasesSearched",
    "SearchPlanStarted",
    "SearchResult",
    "known_minimums",
    "reply_for",
    "search_minimum",
    "search_minimums",
]

_PROFILE = "minimum"
# The run ended before the release could answer.
_UNANSWERED = frozenset({Reason.INTERRUPTED, Reason.ENGINE_LOST, Reason.CLUSTER_LOST})
_ANSWERS = {
    Observed.PRESENT: ReleaseState.WORKS,
    Observed.ABSENT: ReleaseState.FAILS,
    Observed.UNKNOWN: ReleaseState.CANNOT_TELL,
}


def reply_for(finding: Finding | None) -> OracleReply:
    """Return what a finding says of its release.

    It works where the channel showed and its negative control was silent, and fails where it did
    not show in any repeat of a process that lived.
    """
    if finding is None:
        return OracleReply(ReleaseState.CANNOT_TELL, Reason.NOT_RUN.value)
    reason = f"{finding.reason.value}: " if finding.reason else ""
    return OracleReply(_ANSWERS[finding.shows], f"{reason}{evidence_text(finding.facts)}")


class CellOracle:
    """Runs cells of searches, each release once; what the journal has is not run again."""

    def __init__(
        self, probes: Mapping[str, Probe], world: RunContext, keeping: ResultStore, emit: Emit
    ) -> None:
        self._probes = probes
        self._world = world
        self._keeping = keeping
        self._emit = emit
        self._halt: Callable[[], None] = _nothing
        self.stopped = False
        self.lost = ""
        self.warnings: dict[str, None] = {}

    @property
    def over(self) -> bool:
        """Return whether nothing more can be asked."""
        return self.stopped or bool(self.lost)

    def stop(self) -> None:
        """Ask nothing more, keeping what is done; safe in a signal handler."""
        self.stopped = True
        self._halt()

    def ask(self, quest: SearchPlan, releases: Sequence[str]) -> tuple[CellRecord, ...]:
        """Return how the cells of these releases ended, without those that could not end."""
        cells = tuple(quest.cells[release] for release in releases)
        plan = Plan(_PROFILE, quest.snapshot, (), (), cells, (), (), (quest.target,))
        engine = Scheduler(plan, self._probes, self._world, self._keeping, self._emit)
        self._halt = engine.stop
        if self.over:
            return ()
        result = engine.run()
        self.stopped = self.stopped or result.run.interrupted
        self.lost = self.lost or result.run.lost
        self.warnings.update(dict.fromkeys(result.run.warnings))
        return tuple(record for record in result.cells if record.reason not in _UNANSWERED)


def _nothing() -> None:
    """Stand in for an engine before there is one."""


# So many releases are asked at a time for one answer; more would mostly be asked in vain.
_WIDTH = 4


@dataclasses.dataclass(frozen=True)
class MinimumOptions:
    """How to search; `jobs` cells at a time. `given` are back ends that run already."""

    exhaustive: bool = False
    fresh: bool = False
    jobs: int = 2
    offline: bool = False
    given: Mapping[str, ExternalService] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class SearchPlanStarted:
    """A search begins, for all its channels."""

    quest: SearchPlan


@dataclasses.dataclass(frozen=True)
class ReleasesSearched:
    """A step of the search for one channel."""

    channel: str
    event: SearchEvent


EmitSearch: TypeAlias = Callable[[events.Event | SearchPlanStarted | ReleasesSearched], None]


@dataclasses.dataclass(frozen=True)
class SearchResult:
    """What came of a search: a result for each channel, and the cells, in the order they ended."""

    quest: SearchPlan
    results: Mapping[str, ReleaseSearchResult]
    records: tuple[CellRecord, ...]
    exhaustive: bool
    started: dt.datetime
    seconds: float
    interrupted: bool = False
    lost: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def findings(self) -> dict[tuple[str, str], Finding]:
        """Return what was found, by cell and channel."""
        return {
            (finding.cell.id, finding.channel): finding
            for record in self.records
            for finding in record.findings
        }


def search_minimums(
    quests: Sequence[SearchPlan], options: MinimumOptions, emit: EmitSearch, runs: RunBackend
) -> tuple[SearchResult, ...]:
    """Search for real, one after the other; raise `UserError`. `runs` is what runs cells.

    One run at a time in one results folder. Ctrl-C and SIGTERM end it softly.
    """
    probes = load_probes()
    folder = results_dir()
    with lock_results(folder), contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        keeping = ResultStore(
            journal,
            CaptureStore(folder / "captures"),
            cell_sources(),
            judge_key(judge_sources(), probes),
            reuse=not options.fresh,
        )
        how = SetupOptions(options.jobs, offline=options.offline, given=options.given)
        with run_context(folder, how, probes, runs) as world:
            questions = CellOracle(probes, world, keeping, emit)
            with stopping(questions.stop):
                return tuple(search_minimum(quest, questions, options, emit) for quest in quests)


def search_minimum(
    quest: SearchPlan,
    questions: CellOracle,
    options: MinimumOptions,
    emit: EmitSearch,
    clock: Clock | None = None,
) -> SearchResult:
    """Search for the least release of one quest, for all its channels at once."""
    clock = clock or SystemClock()
    started, start = clock.now(), clock.seconds()
    releases = tuple(quest.cells)
    strategy = Exhaustive() if options.exhaustive else Bisection()
    searches = JointSearch(quest.channels, releases, strategy, quest.documented)
    width = len(releases) if options.exhaustive else min(options.jobs, _WIDTH)
    records: list[CellRecord] = []
    emit(SearchPlanStarted(quest))
    _tell(emit, searches.begin())
    release_of = {planned.cell: release for release, planned in quest.cells.items()}
    while not questions.over and (asked := searches.round(width)):
        ended = questions.ask(quest, asked)
        records += ended
        told = {release_of[record.cell]: _replies(record.findings, quest) for record in ended}
        # As they were asked, not as they ended: the same answers make the same search.
        _tell(emit, searches.take_all({each: told[each] for each in asked if each in told}))
    _tell(emit, searches.finish())
    return SearchResult(
        quest=quest,
        results={name: _within(quest, result) for name, result in searches.results.items()},
        records=tuple(records),
        exhaustive=options.exhaustive,
        started=started,
        seconds=clock.seconds() - start,
        interrupted=questions.stopped,
        lost=questions.lost,
        warnings=tuple(questions.warnings),
    )


def known_minimums(
    quest: SearchPlan, findings: Iterable[Finding]
) -> dict[str, ReleaseSearchResult]:
    """Return what findings, of whatever run, say of the least release, by channel; asks nothing.

    A channel of which nothing was found has no release that works, and all are assumed.
    """
    releases = tuple(quest.cells)
    position = {planned.cell: at for at, planned in enumerate(quest.cells.values())}
    found = {
        (finding.channel, position[finding.cell]): finding
        for finding in findings
        if finding.cell in position and finding.probe == quest.probe
    }
    documented = quest.documented
    at = releases.index(documented) if documented in releases else None
    return {
        channel: _within(
            quest,
            summarize_search(
                SearchState(
                    releases,
                    at,
                    tuple(
                        TestedRelease(where, releases[where], StepCause.GIVEN, reply_for(finding))
                        for (name, where), finding in sorted(found.items(), key=_place)
                        if name == channel
                    ),
                )
            ),
        )
        for channel in quest.channels
    }


def _place(item: tuple[tuple[str, int], Finding]) -> tuple[str, int]:
    return item[0]


def _within(quest: SearchPlan, result: ReleaseSearchResult) -> ReleaseSearchResult:
    """Return a result that does not take the first release searched for the first there is."""
    first = next(iter(quest.cells))
    if result.observed != first or not quest.is_cut:
        return result
    said = f"what is before {first} was not searched: an earlier release may work"
    return dataclasses.replace(result, exact=False, assumptions=(*result.assumptions, said))


def _replies(findings: Iterable[Finding], quest: SearchPlan) -> dict[str, OracleReply]:
    by_channel = {each.channel: each for each in findings if each.probe == quest.probe}
    return {channel: reply_for(by_channel.get(channel)) for channel in quest.channels}


def _tell(emit: EmitSearch, steps: Iterable[tuple[str, SearchEvent]]) -> None:
    for channel, event in steps:
        emit(ReleasesSearched(channel, event))
