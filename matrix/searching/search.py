"""The search itself: strategy and oracle take turns, and every step is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Iterator, Sequence

from matrix.searching.events import (
    Answered,
    Asking,
    Event,
    Finished,
    HoleSeen,
    Narrowed,
    Started,
)
from matrix.searching.known import Known, Tried
from matrix.searching.oracle import Oracle
from matrix.searching.result import result_of
from matrix.searching.strategy import Strategy

__all__ = ["changes", "search"]


def search(
    releases: Sequence[str], oracle: Oracle, strategy: Strategy, documented: str | None = None
) -> Generator[Event, None, None]:
    """Yield what happens, and last `Finished` with the result.

    `releases` ascend and have no doubles. `documented` is the release that is said to be the least;
    one that is not among them is none. Who stops listening stops the search. Raises ValueError for
    doubles, and for a strategy that asks twice.
    """
    known = Known(tuple(releases))
    if len(set(known.releases)) != len(known.releases):
        raise ValueError("a release is there twice")
    if documented in known.releases:
        known = dataclasses.replace(known, documented=known.releases.index(documented))
    else:
        documented = None
    yield Started(strategy.name, len(releases), documented, strategy.bound(len(releases)))
    while (step := strategy.step(known)) is not None:
        if step.position in known.answers:
            raise ValueError(f"{strategy.name} asks about {releases[step.position]} twice")
        release = known.releases[step.position]
        yield Asking(release, step.why, len(known.tried) + 1)
        reply = oracle.ask(release)
        yield Answered(release, reply)
        tried = Tried(step.position, release, step.why, reply)
        before, known = known, dataclasses.replace(known, tried=(*known.tried, tried))
        yield from changes(before, known)
    yield Finished(result_of(known))


def changes(before: Known, after: Known) -> Iterator[Event]:
    """Yield what an answer has moved."""
    if after.bracket is not None and after.bracket != before.bracket:
        low, high = after.bracket
        yield Narrowed(after.releases[low] if low >= 0 else None, after.releases[high])
    if after.hole is not None and after.hole != before.hole:
        yield HoleSeen(after.releases[after.hole[0]], after.releases[after.hole[1]])
