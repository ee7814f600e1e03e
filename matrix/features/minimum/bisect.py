"""Bisection that does not trust itself: what works may stop working, and some cannot be asked.

In this order: the newest release, the documented minimum, the boundary by halving, its neighbours
one by one, samples on both sides of it, and the edges of the first hole that those show. Whatever
an answer changes, the earlier questions are put again. A release that cannot tell is a wall: the
halves on its two sides are looked at one after the other, the newer first.

Every release, from the newest down: what is wanted most is known first.

The seam between the search and what decides where it goes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Protocol

from matrix.features.minimum.observations import ReleaseState, SearchState, SearchStep, StepCause

__all__ = ["Bisection", "Exhaustive", "Strategy"]


@dataclasses.dataclass(frozen=True)
class Bisection:
    """`beside` neighbours on each side of the boundary, `samples` over all releases.

    `patience` is how many releases that cannot tell are stepped around for one question: the
    newest, the boundary, the hole. With `n` releases and `L = ceil(log2(n + 1))` never more are
    asked than the least of `n` and

        (patience + 1) + 1 + samples + 4 beside + 2 (patience + 1) (L + 1)
    """

    beside: int = 3
    samples: int = 8
    patience: int = 6
    name: str = "bisection"

    def bound(self, releases: int) -> int:
        """Return how many of so many releases are asked about at most."""
        one = self._halving(releases)
        ends = self.patience + 2 + self.samples + 4 * self.beside
        return min(releases, ends + 2 * one)

    def step(self, known: SearchState) -> SearchStep | None:
        """Return what to ask next."""
        return next(self._steps(known), None)

    def _steps(self, known: SearchState) -> Iterator[SearchStep]:
        yield from self._newest(known)
        if known.documented is not None and known.documented not in known.answers:
            yield SearchStep(known.documented, StepCause.DOCUMENTED)
        if known.bracket is None:
            # Nothing works yet: look all over before giving up.
            yield from self._sampled(known, StepCause.ANY)
            return
        low, high = known.bracket
        yield from self._halved(
            known, StepCause.BISECT, low, high, self._halving(len(known.releases))
        )
        yield from self._neighbours(known, high)
        yield from self._sampled(known, StepCause.SAMPLE)
        yield from self._edges(known)

    def _halving(self, releases: int) -> int:
        return (self.patience + 1) * (releases.bit_length() + 1)

    def _newest(self, known: SearchState) -> Iterator[SearchStep]:
        """Ask for the newest release that can tell."""
        for back in range(min(self.patience + 1, len(known.releases))):
            position = len(known.releases) - 1 - back
            if position not in known.answers:
                yield SearchStep(position, StepCause.NEWEST)
            if known.answers.get(position) is not ReleaseState.CANNOT_TELL:
                return

    def _halved(
        self, known: SearchState, why: StepCause, low: int, high: int, most: int
    ) -> Iterator[SearchStep]:
        """Ask for the middle of the newest stretch between the two that was not asked."""
        walls = known.count(why, ReleaseState.CANNOT_TELL)
        if walls > self.patience or known.count(why) >= most:
            return
        runs = known.open_between(low, high)
        if runs:
            yield SearchStep(_middle(runs[-1]), why)

    def _neighbours(self, known: SearchState, boundary: int) -> Iterator[SearchStep]:
        """Ask for what is beside the boundary; a boundary that keeps moving ends this."""
        if known.count(StepCause.BESIDE) >= 4 * self.beside:
            return
        for distance in range(1, self.beside + 1):
            for position in (boundary - distance, boundary + distance):
                if 0 <= position < len(known.releases) and position not in known.answers:
                    yield SearchStep(position, StepCause.BESIDE)

    def _sampled(self, known: SearchState, why: StepCause) -> Iterator[SearchStep]:
        """Ask all over: above the boundary for holes, below it for what worked before one."""
        for position in self._places(len(known.releases)):
            if position not in known.answers:
                yield SearchStep(position, why)

    def _places(self, releases: int) -> Sequence[int]:
        """Return positions that lie evenly among all, so that a moving boundary moves none."""
        if not releases:
            return ()
        return sorted(
            {(2 * each + 1) * releases // (2 * self.samples) for each in range(self.samples)}
        )

    def _edges(self, known: SearchState) -> Iterator[SearchStep]:
        """Ask where the first hole begins and where it ends."""
        if known.hole is None:
            return
        first, last = known.hole
        most = self._halving(len(known.releases))
        works = known.at(ReleaseState.WORKS)
        before = max(each for each in works if each < first)
        yield from self._halved(known, StepCause.HOLE, before, first, most)
        after = [each for each in works if each > last]
        if after:
            yield from self._halved(known, StepCause.HOLE, last, after[0], most)


def _middle(run: range) -> int:
    return run[len(run) // 2]


@dataclasses.dataclass(frozen=True)
class Exhaustive:
    """Asks about all of them; nothing is assumed."""

    name: str = "exhaustive"

    def bound(self, releases: int) -> int:
        """Return the number of releases."""
        return releases

    def step(self, known: SearchState) -> SearchStep | None:
        """Return the newest release that was not asked about."""
        for position in reversed(range(len(known.releases))):
            if position not in known.answers:
                return SearchStep(position, StepCause.EVERY)
        return None


class Strategy(Protocol):
    """Decides from what is known alone: the same knowledge, the same step."""

    @property
    def name(self) -> str:
        """Return its name, for people."""
        ...

    def bound(self, releases: int) -> int:
        """Return how many of so many releases are asked about at most."""
        ...

    def step(self, known: SearchState) -> SearchStep | None:
        """Return what to ask next, None where it is done. Never a release that was asked."""
        ...
