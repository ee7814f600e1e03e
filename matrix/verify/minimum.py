"""The least release in which something works: searches, with real cells for an oracle."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from matrix.journal import CaptureStore, Journal, Sources, judge_key, one_run
from matrix.model.verdict import Finding
from matrix.places import results_dir
from matrix.planning.quests import Quest
from matrix.probes import load_probes
from matrix.searching import Bisection, Exhaustive, Reply, Result, Together
from matrix.searching.events import Event as SearchEvent
from matrix.searching.known import Known, Tried, Why
from matrix.searching.result import result_of
from matrix.services.given import Given
from matrix.verify import events
from matrix.verify.holding import Held
from matrix.verify.keeping import Keeping
from matrix.verify.questions import Questions, reply_of
from matrix.verify.result import CellRecord
from matrix.verify.running import cell_sources, judge_sources
from matrix.verify.seams import Clock, SystemClock
from matrix.verify.signals import stopping
from matrix.verify.worlds import How, world_of

__all__ = [
    "Emit",
    "Options",
    "QuestStarted",
    "Searched",
    "Sought",
    "known_minimums",
    "seek",
    "seek_all",
]

# So many releases are asked at a time for one answer; more would mostly be asked in vain.
_WIDTH = 4


@dataclasses.dataclass(frozen=True)
class Options:
    """How to search; `jobs` cells at a time. `given` are back ends that run already."""

    exhaustive: bool = False
    fresh: bool = False
    jobs: int = 2
    offline: bool = False
    given: Mapping[str, Given] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class QuestStarted:
    """A search begins, for all its channels."""

    quest: Quest


@dataclasses.dataclass(frozen=True)
class Searched:
    """A step of the search for one channel."""

    channel: str
    event: SearchEvent


Emit: TypeAlias = Callable[[events.Event | QuestStarted | Searched], None]


@dataclasses.dataclass(frozen=True)
class Sought:
    """What came of a search: a result for each channel, and the cells, in the order they ended."""

    quest: Quest
    results: Mapping[str, Result]
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
            (finding.cell, finding.channel): finding
            for record in self.records
            for finding in record.findings
        }


def seek_all(
    quests: Sequence[Quest], options: Options, emit: Emit, runs: Held
) -> tuple[Sought, ...]:
    """Search for real, one after the other; raise `UserError`. `runs` is what runs cells.

    One run at a time in one results folder. Ctrl-C and SIGTERM end it softly.
    """
    probes = load_probes()
    folder = results_dir()
    with one_run(folder), contextlib.closing(Journal(folder / "journal.jsonl")) as journal:
        keeping = Keeping(
            journal,
            CaptureStore(folder / "captures"),
            Sources.of(cell_sources()),
            judge_key(Sources.of(judge_sources()), probes),
            reuse=not options.fresh,
        )
        how = How(options.jobs, offline=options.offline, given=options.given)
        with world_of(folder, how, probes, runs) as world:
            questions = Questions(probes, world, keeping, emit)
            with stopping(questions.stop):
                return tuple(seek(quest, questions, options, emit) for quest in quests)


def seek(
    quest: Quest,
    questions: Questions,
    options: Options,
    emit: Emit,
    clock: Clock | None = None,
) -> Sought:
    """Search for the least release of one quest, for all its channels at once."""
    clock = clock or SystemClock()
    started, start = clock.now(), clock.seconds()
    releases = tuple(quest.cells)
    strategy = Exhaustive() if options.exhaustive else Bisection()
    searches = Together(quest.channels, releases, strategy, quest.documented)
    width = len(releases) if options.exhaustive else min(options.jobs, _WIDTH)
    records: list[CellRecord] = []
    emit(QuestStarted(quest))
    _tell(emit, searches.begin())
    release_of = {planned.cell.id: release for release, planned in quest.cells.items()}
    while not questions.over and (asked := searches.round(width)):
        ended = questions.ask(quest, asked)
        records += ended
        told = {release_of[record.cell]: _replies(record.findings, quest) for record in ended}
        # As they were asked, not as they ended: the same answers make the same search.
        _tell(emit, searches.take_all({each: told[each] for each in asked if each in told}))
    _tell(emit, searches.finish())
    return Sought(
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


def known_minimums(quest: Quest, findings: Iterable[Finding]) -> dict[str, Result]:
    """Return what findings, of whatever run, say of the least release, by channel; asks nothing.

    A channel of which nothing was found has no release that works, and all are assumed.
    """
    releases = tuple(quest.cells)
    position = {planned.cell.id: at for at, planned in enumerate(quest.cells.values())}
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
            result_of(
                Known(
                    releases,
                    at,
                    tuple(
                        Tried(where, releases[where], Why.GIVEN, reply_of(finding))
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


def _within(quest: Quest, result: Result) -> Result:
    """Return a result that does not take the first release searched for the first there is."""
    first = next(iter(quest.cells))
    if result.observed != first or not quest.is_cut:
        return result
    said = f"what is before {first} was not searched: an earlier release may work"
    return dataclasses.replace(result, exact=False, assumptions=(*result.assumptions, said))


def _replies(findings: Iterable[Finding], quest: Quest) -> dict[str, Reply]:
    by_channel = {each.channel: each for each in findings if each.probe == quest.probe}
    return {channel: reply_of(by_channel.get(channel)) for channel in quest.channels}


def _tell(emit: Emit, steps: Iterable[tuple[str, SearchEvent]]) -> None:
    for channel, event in steps:
        emit(Searched(channel, event))
