"""Search over releases, without any idea of what is tested. Pure.

A strategy chooses the release to test next. Bisection does not trust its own assumption, as a
feature that works may stop working, and some releases cannot tell. In this order it tests the
newest release, the documented minimum, the boundary by halving, the boundary's neighbours one by
one, samples on both sides of it, and the edges of the first hole that those show. Whenever an
answer changes one of these, the earlier steps are repeated. A release that cannot tell splits the
range: its two sides are tested one after the other, the newer first.

`JointSearch` is for searches over the same releases, whose answers come from the same experiments.
An experiment with one release answers every search at once, and a machine runs several at a time,
so the searches proceed in rounds. A round has the next release of each search and, while there is
room, the releases that they would test after it, whatever the answers are.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from matrix.features.minimum.observations import (
    GapFound,
    OracleReply,
    RangeNarrowed,
    ReleaseSearchResult,
    ReleaseState,
    SearchEvent,
    SearchState,
    SearchStep,
    StepCause,
    TestedRelease,
    summarize_search,
)


@dataclasses.dataclass(frozen=True)
class Bisection:
    """Bisection with `beside` neighbours on each side of the boundary, and `samples` over all.

    `patience` is how many releases that cannot tell are stepped around for the newest release, for
    the boundary and for the hole. With `n` releases and `L = ceil(log2(n + 1))`, at most the
    smaller of `n` and this number are tested:

        (patience + 1) + 1 + samples + 4 beside + 2 (patience + 1) (L + 1)

    With `upper` it also tests where what works ends, above all holes, and the last term is 3 times
    as much instead of twice.
    """

    beside: int = 3
    samples: int = 8
    patience: int = 6
    upper: bool = False

    def bound(self, releases: int) -> int:
        """Return the most releases that are tested of so many."""
        others = self.patience + 2 + self.samples + 4 * self.beside
        return min(releases, others + (2 + self.upper) * self._most_halvings(releases))

    def step(self, state: SearchState) -> SearchStep | None:
        """Return the next step."""
        return next(self._steps(state), None)

    def _steps(self, state: SearchState) -> Iterator[SearchStep]:
        yield from self._newest(state)
        if state.documented is not None and state.documented not in state.answers:
            yield SearchStep(state.documented, StepCause.DOCUMENTED)
        if state.bracket is None:
            # No release works so far: sample all of them before giving up.
            yield from self._samples(state, StepCause.ANY)
            return
        low, high = state.bracket
        yield from self._halve(state, StepCause.BISECT, low, high)
        yield from self._neighbours(state, high)
        yield from self._samples(state, StepCause.SAMPLE)
        yield from self._hole_edges(state)
        if self.upper:
            yield from self._upper_end(state)

    def _most_halvings(self, releases: int) -> int:
        return (self.patience + 1) * (releases.bit_length() + 1)

    def _newest(self, state: SearchState) -> Iterator[SearchStep]:
        """Test the newest release that can tell."""
        count = len(state.releases)
        for position in range(count - 1, max(-1, count - self.patience - 2), -1):
            if position not in state.answers:
                yield SearchStep(position, StepCause.NEWEST)
            if state.answers.get(position) is not ReleaseState.CANNOT_TELL:
                return

    def _halve(
        self, state: SearchState, cause: StepCause, low: int, high: int
    ) -> Iterator[SearchStep]:
        """Test the middle of the newest untested run between two positions."""
        silent = state.count(cause, ReleaseState.CANNOT_TELL)
        most = self._most_halvings(len(state.releases))
        if silent > self.patience or state.count(cause) >= most:
            return
        if runs := state.untested_runs(low, high):
            yield SearchStep(runs[-1][len(runs[-1]) // 2], cause)

    def _neighbours(self, state: SearchState, boundary: int) -> Iterator[SearchStep]:
        """Test the releases beside the boundary; a boundary that keeps moving ends this."""
        if state.count(StepCause.BESIDE) >= 4 * self.beside:
            return
        for distance in range(1, self.beside + 1):
            for position in (boundary - distance, boundary + distance):
                if 0 <= position < len(state.releases) and position not in state.answers:
                    yield SearchStep(position, StepCause.BESIDE)

    def _samples(self, state: SearchState, cause: StepCause) -> Iterator[SearchStep]:
        """Test samples: above the boundary for holes, below it for what worked before one."""
        for position in self._sample_positions(len(state.releases)):
            if position not in state.answers:
                yield SearchStep(position, cause)

    def _sample_positions(self, releases: int) -> Sequence[int]:
        """Return positions spread evenly over all releases, whatever the boundary is."""
        if not releases:
            return ()
        return sorted(
            {(2 * index + 1) * releases // (2 * self.samples) for index in range(self.samples)}
        )

    def _hole_edges(self, state: SearchState) -> Iterator[SearchStep]:
        """Test where the first hole begins and ends."""
        if state.hole is None:
            return
        first, last = state.hole
        works = state.positions(ReleaseState.WORKS)
        before = max(position for position in works if position < first)
        yield from self._halve(state, StepCause.HOLE, before, first)
        after = [position for position in works if position > last]
        if after:
            yield from self._halve(state, StepCause.HOLE, last, after[0])

    def _upper_end(self, state: SearchState) -> Iterator[SearchStep]:
        """Test between the highest release that works and the next known to fail."""
        highest = state.positions(ReleaseState.WORKS)[-1]
        above = [position for position in state.positions(ReleaseState.FAILS) if position > highest]
        if above:
            yield from self._halve(state, StepCause.UPPER, highest, above[0])


@dataclasses.dataclass(frozen=True)
class Exhaustive:
    """Tests every release, from the newest down, and assumes nothing."""

    def bound(self, releases: int) -> int:
        """Return the number of releases."""
        return releases

    def step(self, state: SearchState) -> SearchStep | None:
        """Return the newest release that was not tested."""
        for position in reversed(range(len(state.releases))):
            if position not in state.answers:
                return SearchStep(position, StepCause.EVERY)
        return None


Strategy: TypeAlias = Bisection | Exhaustive
"""Chooses the next step from the state of a search alone: equal states, equal steps."""


class JointSearch:
    """Searches by name, which proceed in rounds; equal answers make equal rounds."""

    def __init__(
        self,
        names: Sequence[str],
        releases: Sequence[str],
        strategy: Strategy,
        documented: str | None = None,
    ) -> None:
        """Prepare a search for each name.

        `releases` are ascending. `documented` is the documented minimum, ignored where it is not
        among them. Raises ValueError for a release that is listed twice.
        """
        if len(set(releases)) != len(releases):
            raise ValueError("a release is listed twice")
        position = releases.index(documented) if documented in releases else None
        self._strategy = strategy
        self._states = dict.fromkeys(names, SearchState(tuple(releases), position))

    def next_round(self, width: int) -> tuple[str, ...]:
        """Return the releases to test next, none where all searches are done.

        There are more than `width` only where the searches need that many different ones next.
        """
        chosen: dict[str, None] = {}
        queues = [_look_ahead(state, self._strategy) for state in self._states.values()]
        for depth, group in enumerate(itertools.zip_longest(*queues)):
            for release in filter(None, group):
                if depth and len(chosen) >= width:
                    return tuple(chosen)
                chosen[release] = None
        return tuple(chosen)

    def add_replies(
        self, replies: Mapping[str, Mapping[str, OracleReply]]
    ) -> Iterator[tuple[str, SearchEvent]]:
        """Add the replies of a round, by release and search; yield what changes, by search."""
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
                self._states[name] = _with_reply(state, step, pending.pop(release))
                yield from ((name, event) for event in _changes(state, self._states[name]))

    @property
    def results(self) -> dict[str, ReleaseSearchResult]:
        """Return the results of the answers so far, by search."""
        return {name: summarize_search(state) for name, state in self._states.items()}


def _with_reply(state: SearchState, step: SearchStep, reply: OracleReply) -> SearchState:
    release = state.releases[step.position]
    tested = TestedRelease(step.position, release, step.cause, reply)
    return dataclasses.replace(state, tried=(*state.tried, tested))


def _changes(before: SearchState, after: SearchState) -> Iterator[SearchEvent]:
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
    branches = [state]
    yielded: set[int] = set()
    while branches:
        steps: dict[int, tuple[SearchState, SearchStep]] = {}
        for branch in branches:
            if (step := strategy.step(branch)) is not None:
                steps.setdefault(step.position, (branch, step))
        branches = []
        for position, (branch, step) in steps.items():
            if position not in yielded:
                yielded.add(position)
                yield branch.releases[position]
            branches += [
                _with_reply(branch, step, OracleReply(answer))
                for answer in (ReleaseState.WORKS, ReleaseState.FAILS)
            ]
