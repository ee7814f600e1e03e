"""Strategies of a search: which release to test next.

Bisection does not trust its own assumption, as a feature that works may stop working, and some
releases cannot tell. In this order it tests the newest release, the documented minimum, the
boundary by halving, the boundary's neighbours one by one, samples on both sides of it, and the
edges of the first hole that those show. Whenever an answer changes one of these, the earlier steps
are repeated. A release that cannot tell splits the range: its two sides are tested one after the
other, the newer first.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from matrix.features.minimum.observations import ReleaseState, SearchState, SearchStep, StepCause


class Strategy(Protocol):
    """Chooses the next step from the state of a search alone: equal states, equal steps."""

    @property
    def name(self) -> str:
        """Return the name of the strategy."""
        ...

    def bound(self, releases: int) -> int:
        """Return the most releases that are tested of so many."""
        ...

    def step(self, state: SearchState) -> SearchStep | None:
        """Return the next step, None where the search is done; never for a tested release."""
        ...


@dataclasses.dataclass(frozen=True)
class Bisection:
    """Bisection with `beside` neighbours on each side of the boundary, and `samples` over all.

    `patience` is how many releases that cannot tell are stepped around for the newest release, for
    the boundary and for the hole. With `n` releases and `L = ceil(log2(n + 1))`, at most the
    smaller of `n` and this number are tested:

        (patience + 1) + 1 + samples + 4 beside + 2 (patience + 1) (L + 1)
    """

    beside: int = 3
    samples: int = 8
    patience: int = 6
    name: str = "bisection"

    def bound(self, releases: int) -> int:
        """Return the most releases that are tested of so many."""
        others = self.patience + 2 + self.samples + 4 * self.beside
        return min(releases, others + 2 * self._most_halvings(releases))

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


@dataclasses.dataclass(frozen=True)
class Exhaustive:
    """Tests every release, from the newest down, and assumes nothing."""

    name: str = "exhaustive"

    def bound(self, releases: int) -> int:
        """Return the number of releases."""
        return releases

    def step(self, state: SearchState) -> SearchStep | None:
        """Return the newest release that was not tested."""
        for position in reversed(range(len(state.releases))):
            if position not in state.answers:
                return SearchStep(position, StepCause.EVERY)
        return None
