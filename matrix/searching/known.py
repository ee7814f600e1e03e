"""What is known while searching: all releases, and those asked so far with their answers."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Mapping, Sequence

from matrix.searching.oracle import Answer, Reply

__all__ = ["Known", "Step", "Tried", "Why"]


class Why(str, enum.Enum):
    """What a release is asked for."""

    NEWEST = "newest"
    DOCUMENTED = "documented"
    ANY = "any"
    BISECT = "bisect"
    BESIDE = "beside"
    SAMPLE = "sample"
    HOLE = "hole"
    EVERY = "every"
    # Nobody asked for this search: another one did, or it came first as likely to be asked.
    GIVEN = "given"


@dataclasses.dataclass(frozen=True)
class Step:
    """The release to ask about next, by its position."""

    position: int
    why: Why


@dataclasses.dataclass(frozen=True)
class Tried:
    """A release that was asked about."""

    position: int
    release: str
    why: Why
    reply: Reply


@dataclasses.dataclass(frozen=True)
class Known:
    """`releases` ascend; `tried` are in the order of asking; `documented` is a position or None."""

    releases: tuple[str, ...]
    documented: int | None = None
    tried: tuple[Tried, ...] = ()

    @functools.cached_property
    def answers(self) -> Mapping[int, Answer]:
        """Return the answers by position."""
        return {each.position: each.reply.answer for each in self.tried}

    def at(self, answer: Answer) -> tuple[int, ...]:
        """Return the positions with this answer, ascending."""
        return tuple(sorted(each for each, said in self.answers.items() if said is answer))

    def count(self, why: Why, answer: Answer | None = None) -> int:
        """Return how many releases were asked for a reason, with one answer only if given."""
        return sum(
            each.why is why and (answer is None or each.reply.answer is answer)
            for each in self.tried
        )

    def open_between(self, low: int, high: int) -> Sequence[range]:
        """Return the runs of positions strictly between two that were not asked, ascending."""
        runs: list[range] = []
        start = low + 1
        for position in [*(each for each in sorted(self.answers) if low < each < high), high]:
            if start < position:
                runs.append(range(start, position))
            start = position + 1
        return runs

    @functools.cached_property
    def bracket(self) -> tuple[int, int] | None:
        """Return the newest position that fails below the least that works, and that one.

        The first is -1 where none fails; None is for no release that works.
        """
        works = self.at(Answer.WORKS)
        if not works:
            return None
        fails = [each for each in self.at(Answer.FAILS) if each < works[0]]
        return (fails[-1] if fails else -1, works[0])

    @functools.cached_property
    def hole(self) -> tuple[int, int] | None:
        """Return the first and last position known to fail of the first hole, None without one.

        A hole is what fails above the least release that works, up to the next one that works.
        """
        if self.bracket is None:
            return None
        above = [each for each in self.at(Answer.FAILS) if each > self.bracket[1]]
        if not above:
            return None
        after = [each for each in self.at(Answer.WORKS) if each > above[0]]
        end = after[0] if after else len(self.releases)
        return above[0], max(each for each in above if each < end)
