"""Several searches over the same releases, whose answers come from the same experiments.

An experiment with one release answers every search at once, and a machine makes several at a time:
so the searches go on in rounds. A round holds what each search asks next, and, while there is room,
what they would ask after that, whatever the answers are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from matrix.searching.events import Answered, Event, Finished, Started
from matrix.searching.known import Known, Step, Tried, Why
from matrix.searching.oracle import Answer, Reply
from matrix.searching.result import Result, result_of
from matrix.searching.search import changes
from matrix.searching.strategy import Strategy

__all__ = ["Named", "Together"]

Named: TypeAlias = tuple[str, Event]
"""An event with the name of its search."""


class Together:
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
        self._known = {name: Known(tuple(releases), position) for name in names}

    def begin(self) -> Iterator[Named]:
        """Yield what there is to tell before the first round."""
        for name, known in self._known.items():
            count = len(known.releases)
            at = None if known.documented is None else known.releases[known.documented]
            yield name, Started(self._strategy.name, count, at, self._strategy.bound(count))

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

    def take(self, release: str, replies: Mapping[str, Reply]) -> Iterator[Named]:
        """Take the answers of one release in, by search; yield what they change."""
        yield from self.take_all({release: replies})

    def take_all(self, told: Mapping[str, Mapping[str, Reply]]) -> Iterator[Named]:
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
                    step = Step(known.releases.index(asked), Why.GIVEN)
                yield from self._add(name, step, open_answers.pop(asked))

    def finish(self) -> Iterator[Named]:
        """Yield the results, of what is known so far."""
        for name, result in self.results.items():
            yield name, Finished(result)

    @property
    def results(self) -> dict[str, Result]:
        """Return what the answers so far amount to, by search."""
        return {name: result_of(known) for name, known in self._known.items()}

    def _add(self, name: str, step: Step, reply: Reply) -> Iterator[Named]:
        before = self._known[name]
        release = before.releases[step.position]
        tried = Tried(step.position, release, step.why, reply)
        after = dataclasses.replace(before, tried=(*before.tried, tried))
        self._known[name] = after
        yield name, Answered(release, reply)
        for event in changes(before, after):
            yield name, event


def _ahead(known: Known, strategy: Strategy) -> Iterator[str]:
    """Yield the release that is asked next, then those after it, likely ones first.

    What follows depends on answers that nobody knows yet: both are gone into, but where they lead
    to the same question that is one way.
    """
    ways: Iterable[tuple[Known, Step]] = _steps([known], strategy)
    told: set[int] = set()
    while ways:
        following = []
        for way, step in ways:
            if step.position not in told:
                told.add(step.position)
                yield way.releases[step.position]
            for answer in (Answer.WORKS, Answer.FAILS):
                tried = Tried(step.position, way.releases[step.position], step.why, Reply(answer))
                following.append(dataclasses.replace(way, tried=(*way.tried, tried)))
        ways = _steps(following, strategy)


def _steps(ways: Iterable[Known], strategy: Strategy) -> list[tuple[Known, Step]]:
    found: dict[int, tuple[Known, Step]] = {}
    for way in ways:
        step = strategy.step(way)
        if step is not None:
            found.setdefault(step.position, (way, step))
    return list(found.values())
