"""The least release that can do something: search over releases, with no idea of what it asks.

Pure: an `Oracle` answers for one release, a `Strategy` says which release to ask about next, and
`search` goes between them and reports every step as an event. `JointSearch` is for searches whose
answers come from the same experiments, several of which are made at a time.

The search itself: strategy and oracle take turns, and every step is told.

Several searches over the same releases, whose answers come from the same experiments.

An experiment with one release answers every search at once, and a machine makes several at a time:
so the searches go on in rounds. A round holds what each search asks next, and, while there is room,
what they would ask after that, whatever the answers are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from matrix.features.minimum.bisect import Bisection, Exhaustive, Strategy
from matrix.features.minimum.observations import (
    Event,
    GapFound,
    Oracle,
    OracleReply,
    RangeNarrowed,
    ReleaseGap,
    ReleaseRequested,
    ReleaseSearchResult,
    ReleaseState,
    ReleaseTested,
    SearchFinished,
    SearchStarted,
    SearchState,
    SearchStep,
    StepCause,
    TestedRelease,
    summarize_search,
)

__all__ = [
    "Bisection",
    "Exhaustive",
    "JointSearch",
    "Named",
    "Oracle",
    "OracleReply",
    "ReleaseGap",
    "ReleaseSearchResult",
    "ReleaseState",
    "change_events",
    "search",
]


def search(
    releases: Sequence[str], oracle: Oracle, strategy: Strategy, documented: str | None = None
) -> Generator[Event, None, None]:
    """Yield what happens, and last `SearchFinished` with the result.

    `releases` ascend and have no doubles. `documented` is the release that is said to be the least;
    one that is not among them is none. Who stops listening stops the search. Raises ValueError for
    doubles, and for a strategy that asks twice.
    """
    known = SearchState(tuple(releases))
    if len(set(known.releases)) != len(known.releases):
        raise ValueError("a release is there twice")
    if documented in known.releases:
        known = dataclasses.replace(known, documented=known.releases.index(documented))
    else:
        documented = None
    yield SearchStarted(strategy.name, len(releases), documented, strategy.bound(len(releases)))
    while (step := strategy.step(known)) is not None:
        if step.position in known.answers:
            raise ValueError(f"{strategy.name} asks about {releases[step.position]} twice")
        release = known.releases[step.position]
        yield ReleaseRequested(release, step.why, len(known.tried) + 1)
        reply = oracle.ask(release)
        yield ReleaseTested(release, reply)
        tried = TestedRelease(step.position, release, step.why, reply)
        before, known = known, dataclasses.replace(known, tried=(*known.tried, tried))
        yield from change_events(before, known)
    yield SearchFinished(summarize_search(known))


def change_events(before: SearchState, after: SearchState) -> Iterator[Event]:
    """Yield what an answer has moved."""
    if after.bracket is not None and after.bracket != before.bracket:
        low, high = after.bracket
        yield RangeNarrowed(after.releases[low] if low >= 0 else None, after.releases[high])
    if after.hole is not None and after.hole != before.hole:
        yield GapFound(after.releases[after.hole[0]], after.releases[after.hole[1]])


Named: TypeAlias = tuple[str, Event]
"""An event with the name of its search."""


class JointSearch:
    """Searches by `names`. With the same answers the rounds are the same."""

    def __init__(
        self,
        names: Sequence[str],
        releases: Sequence[str],
        strategy: Strategy,
        documented: str | None = None,
    ) -> None:
        """Take `releases` ascending, without doubles; `documented` is as for `search`."""
        if len(set(releases)) != len(releases):
            raise ValueError("a release is there twice")
        position = releases.index(documented) if documented in releases else None
        self._strategy = strategy
        self._known = {name: SearchState(tuple(releases), position) for name in names}

    def begin(self) -> Iterator[Named]:
        """Yield what there is to tell before the first round."""
        for name, known in self._known.items():
            count = len(known.releases)
            at = None if known.documented is None else known.releases[known.documented]
            yield name, SearchStarted(self._strategy.name, count, at, self._strategy.bound(count))

    def round(self, width: int) -> tuple[str, ...]:
        """Return the releases to ask about next, none where all is done.

        There are more than `width` only where the searches ask that many different ones next.
        """
        wanted: dict[str, None] = {}
        lines = [_ahead(known, self._strategy) for known in self._known.values()]
        first = True
        while lines and (first or len(wanted) < width):
            for line in list(lines):
                if not first and len(wanted) >= width:
                    break
                release = next(line, None)
                if release is None:
                    lines.remove(line)
                else:
                    wanted[release] = None
            first = False
        return tuple(wanted)

    def take(self, release: str, replies: Mapping[str, OracleReply]) -> Iterator[Named]:
        """Take the answers of one release in, by search; yield what they change."""
        yield from self.take_all({release: replies})

    def take_all(self, told: Mapping[str, Mapping[str, OracleReply]]) -> Iterator[Named]:
        """Take the answers of a round in, by release and search; yield what they change."""
        for name in self._known:
            open_answers = {
                release: replies[name] for release, replies in told.items() if name in replies
            }
            while open_answers:
                known = self._known[name]
                step = self._strategy.step(known)
                asked = known.releases[step.position] if step else ""
                if step is None or asked not in open_answers:
                    # Not what is asked next; knowledge all the same.
                    asked = next(iter(open_answers))
                    step = SearchStep(known.releases.index(asked), StepCause.GIVEN)
                yield from self._add(name, step, open_answers.pop(asked))

    def finish(self) -> Iterator[Named]:
        """Yield the results, of what is known so far."""
        for name, result in self.results.items():
            yield name, SearchFinished(result)

    @property
    def results(self) -> dict[str, ReleaseSearchResult]:
        """Return what the answers so far amount to, by search."""
        return {name: summarize_search(known) for name, known in self._known.items()}

    def _add(self, name: str, step: SearchStep, reply: OracleReply) -> Iterator[Named]:
        before = self._known[name]
        release = before.releases[step.position]
        tried = TestedRelease(step.position, release, step.why, reply)
        after = dataclasses.replace(before, tried=(*before.tried, tried))
        self._known[name] = after
        yield name, ReleaseTested(release, reply)
        for event in change_events(before, after):
            yield name, event


def _ahead(known: SearchState, strategy: Strategy) -> Iterator[str]:
    """Yield the release that is asked next, then those after it, likely ones first.

    What follows depends on answers that nobody knows yet: both are gone into, but where they lead
    to the same question that is one way.
    """
    ways: Iterable[tuple[SearchState, SearchStep]] = _steps([known], strategy)
    told: set[int] = set()
    while ways:
        following = []
        for way, step in ways:
            if step.position not in told:
                told.add(step.position)
                yield way.releases[step.position]
            for answer in (ReleaseState.WORKS, ReleaseState.FAILS):
                tried = TestedRelease(
                    step.position, way.releases[step.position], step.why, OracleReply(answer)
                )
                following.append(dataclasses.replace(way, tried=(*way.tried, tried)))
        ways = _steps(following, strategy)


def _steps(ways: Iterable[SearchState], strategy: Strategy) -> list[tuple[SearchState, SearchStep]]:
    found: dict[int, tuple[SearchState, SearchStep]] = {}
    for way in ways:
        step = strategy.step(way)
        if step is not None:
            found.setdefault(step.position, (way, step))
    return list(found.values())
