"""Search over releases, without any idea of what is tested. Pure.

An `Oracle` tests one release, a `Strategy` chooses the release to test next, and `search`
alternates between them and reports every step as an event.

`JointSearch` is for several searches over the same releases, whose answers come from the same
experiments. An experiment with one release answers every search at once, and a machine runs several
at a time, so the searches proceed in rounds. A round has the next release of each search and, while
there is room, the releases that they would test after it, whatever the answers are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from matrix.features.minimum.bisect import Strategy
from matrix.features.minimum.observations import (
    Event,
    GapFound,
    Oracle,
    OracleReply,
    RangeNarrowed,
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

Named: TypeAlias = tuple[str, Event]
"""An event with the name of its search."""


def search(
    releases: Sequence[str], oracle: Oracle, strategy: Strategy, documented: str | None = None
) -> Generator[Event, None, None]:
    """Yield the events of a search, at last `SearchFinished` with the result.

    `releases` are ascending and unique. `documented` is the documented minimum, ignored where it is
    not among them. Closing the generator stops the search. Raises ValueError for releases that are
    not unique, and for a strategy that tests one twice.
    """
    state = _initial_state(releases, documented)
    yield _started(state, strategy)
    while (step := strategy.step(state)) is not None:
        if step.position in state.answers:
            raise ValueError(f"{strategy.name} tests {releases[step.position]} twice")
        release = state.releases[step.position]
        yield ReleaseRequested(release, step.cause, len(state.tried) + 1)
        reply = oracle.check(release)
        yield ReleaseTested(release, reply)
        before, state = state, _with_reply(state, step, reply)
        yield from _changes(before, state)
    yield SearchFinished(summarize_search(state))


class JointSearch:
    """Searches by name, which proceed in rounds; equal answers make equal rounds."""

    def __init__(
        self,
        names: Sequence[str],
        releases: Sequence[str],
        strategy: Strategy,
        documented: str | None = None,
    ) -> None:
        """Prepare a search for each name; `releases` and `documented` are as for `search`."""
        self._strategy = strategy
        initial = _initial_state(releases, documented)
        self._states = dict.fromkeys(names, initial)

    def begin(self) -> Iterator[Named]:
        """Yield the events before the first round."""
        for name, state in self._states.items():
            yield name, _started(state, self._strategy)

    def next_round(self, width: int) -> tuple[str, ...]:
        """Return the releases to test next, none where all searches are done.

        There are more than `width` only where the searches need that many different ones next.
        """
        chosen: dict[str, None] = {}
        queues = [_look_ahead(state, self._strategy) for state in self._states.values()]
        first = True
        while queues and (first or len(chosen) < width):
            for queue in list(queues):
                if not first and len(chosen) >= width:
                    break
                release = next(queue, None)
                if release is None:
                    queues.remove(queue)
                else:
                    chosen[release] = None
            first = False
        return tuple(chosen)

    def add_replies(self, replies: Mapping[str, Mapping[str, OracleReply]]) -> Iterator[Named]:
        """Add the replies of a round, by release and search; yield the events that they cause."""
        for name in self._states:
            pending = {
                release: by_name[name] for release, by_name in replies.items() if name in by_name
            }
            while pending:
                state = self._states[name]
                step = self._strategy.step(state)
                release = state.releases[step.position] if step else ""
                if step is None or release not in pending:
                    # This search did not need it next.
                    release = next(iter(pending))
                    step = SearchStep(state.releases.index(release), StepCause.GIVEN)
                reply = pending.pop(release)
                self._states[name] = _with_reply(state, step, reply)
                yield name, ReleaseTested(release, reply)
                for event in _changes(state, self._states[name]):
                    yield name, event

    def finish(self) -> Iterator[Named]:
        """Yield the last event of each search."""
        for name, result in self.results.items():
            yield name, SearchFinished(result)

    @property
    def results(self) -> dict[str, ReleaseSearchResult]:
        """Return the results of the answers so far, by search."""
        return {name: summarize_search(state) for name, state in self._states.items()}


def _initial_state(releases: Sequence[str], documented: str | None) -> SearchState:
    if len(set(releases)) != len(releases):
        raise ValueError("a release is listed twice")
    position = releases.index(documented) if documented in releases else None
    return SearchState(tuple(releases), position)


def _started(state: SearchState, strategy: Strategy) -> SearchStarted:
    count = len(state.releases)
    documented = None if state.documented is None else state.releases[state.documented]
    return SearchStarted(strategy.name, count, documented, strategy.bound(count))


def _with_reply(state: SearchState, step: SearchStep, reply: OracleReply) -> SearchState:
    release = state.releases[step.position]
    tested = TestedRelease(step.position, release, step.cause, reply)
    return dataclasses.replace(state, tried=(*state.tried, tested))


def _changes(before: SearchState, after: SearchState) -> Iterator[Event]:
    """Yield the events for what an answer has changed."""
    if after.bracket is not None and after.bracket != before.bracket:
        low, high = after.bracket
        yield RangeNarrowed(after.releases[low] if low >= 0 else None, after.releases[high])
    if after.hole is not None and after.hole != before.hole:
        yield GapFound(after.releases[after.hole[0]], after.releases[after.hole[1]])


def _look_ahead(state: SearchState, strategy: Strategy) -> Iterator[str]:
    """Yield the release that is tested next, then those after it, likely ones first.

    Later steps depend on unknown answers: both are followed, but branches that lead to the same
    step are merged.
    """
    branches = _next_steps([state], strategy)
    yielded: set[int] = set()
    while branches:
        following = []
        for branch, step in branches:
            if step.position not in yielded:
                yielded.add(step.position)
                yield branch.releases[step.position]
            following += [
                _with_reply(branch, step, OracleReply(answer))
                for answer in (ReleaseState.WORKS, ReleaseState.FAILS)
            ]
        branches = _next_steps(following, strategy)


def _next_steps(
    states: Iterable[SearchState], strategy: Strategy
) -> list[tuple[SearchState, SearchStep]]:
    steps: dict[int, tuple[SearchState, SearchStep]] = {}
    for state in states:
        step = strategy.step(state)
        if step is not None:
            steps.setdefault(step.position, (state, step))
    return list(steps.values())
