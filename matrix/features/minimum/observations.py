"""What is asked of one release, and what there is to answer.

What is known while searching: all releases, and those asked so far with their answers.

The answer of a search, and what it rests on.

What happens in a search, as it happens: each step is an event.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

__all__ = [
    "Event",
    "GapFound",
    "Oracle",
    "OracleReply",
    "RangeNarrowed",
    "ReleaseGap",
    "ReleaseRequested",
    "ReleaseSearchResult",
    "ReleaseState",
    "ReleaseTested",
    "SearchFinished",
    "SearchStarted",
    "SearchState",
    "SearchStep",
    "StepCause",
    "TestedRelease",
    "summarize_search",
]


class ReleaseState(str, enum.Enum):
    """Whether a release can do it. What cannot be installed or started is neither yes nor no."""

    WORKS = "works"
    FAILS = "fails"
    CANNOT_TELL = "cannot-tell"


@dataclasses.dataclass(frozen=True)
class OracleReply:
    """The answer for one release; `reason` is a clause, given wherever it cannot be told."""

    answer: ReleaseState
    reason: str = ""


class Oracle(Protocol):
    """Answers for releases; each is asked once."""

    def ask(self, release: str) -> OracleReply:
        """Return whether this release can do it."""
        ...


class StepCause(str, enum.Enum):
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
class SearchStep:
    """The release to ask about next, by its position."""

    position: int
    why: StepCause


@dataclasses.dataclass(frozen=True)
class TestedRelease:
    """A release that was asked about."""

    position: int
    release: str
    why: StepCause
    reply: OracleReply


@dataclasses.dataclass(frozen=True)
class SearchState:
    """`releases` ascend; `tried` are in the order of asking; `documented` is a position or None."""

    releases: tuple[str, ...]
    documented: int | None = None
    tried: tuple[TestedRelease, ...] = ()

    @functools.cached_property
    def answers(self) -> Mapping[int, ReleaseState]:
        """Return the answers by position."""
        return {each.position: each.reply.answer for each in self.tried}

    def at(self, answer: ReleaseState) -> tuple[int, ...]:
        """Return the positions with this answer, ascending."""
        return tuple(sorted(each for each, said in self.answers.items() if said is answer))

    def count(self, why: StepCause, answer: ReleaseState | None = None) -> int:
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
        works = self.at(ReleaseState.WORKS)
        if not works:
            return None
        fails = [each for each in self.at(ReleaseState.FAILS) if each < works[0]]
        return (fails[-1] if fails else -1, works[0])

    @functools.cached_property
    def hole(self) -> tuple[int, int] | None:
        """Return the first and last position known to fail of the first hole, None without one.

        A hole is what fails above the least release that works, up to the next one that works.
        """
        if self.bracket is None:
            return None
        above = [each for each in self.at(ReleaseState.FAILS) if each > self.bracket[1]]
        if not above:
            return None
        after = [each for each in self.at(ReleaseState.WORKS) if each > above[0]]
        end = after[0] if after else len(self.releases)
        return above[0], max(each for each in above if each < end)


@dataclasses.dataclass(frozen=True)
class ReleaseGap:
    """Releases known to fail above one that works; what lies between them was not all asked.

    `closed` is whether a later release works again. `exact` is whether nothing that was not asked,
    or could not tell, is within or next to it.
    """

    first: str
    last: str
    closed: bool
    exact: bool


@dataclasses.dataclass(frozen=True)
class ReleaseSearchResult:
    """`observed` is the least release that works, of those asked; None where none does.

    `exact` is whether the release before it fails (or there is none). `tried` ascend as the
    releases do. `assumptions` say what was taken for granted of releases that were not asked, or
    could not tell.
    """

    documented: str | None
    observed: str | None
    exact: bool
    first_hole: ReleaseGap | None
    tried: tuple[TestedRelease, ...]
    assumptions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the answer as plain JSON values."""
        return {
            "documented": self.documented,
            "observed": self.observed,
            "exact": self.exact,
            "first_hole": None if self.first_hole is None else dataclasses.asdict(self.first_hole),
            "tried": [
                {
                    "release": each.release,
                    "answer": each.reply.answer.value,
                    "reason": each.reply.reason,
                    "asked_for": each.why.value,
                }
                for each in self.tried
            ],
            "assumptions": list(self.assumptions),
        }


def summarize_search(known: SearchState) -> ReleaseSearchResult:
    """Return what the answers so far amount to."""
    bracket = known.bracket
    return ReleaseSearchResult(
        documented=None if known.documented is None else known.releases[known.documented],
        observed=None if bracket is None else known.releases[bracket[1]],
        exact=bracket is not None and bracket[0] == bracket[1] - 1,
        first_hole=_hole(known),
        tried=tuple(sorted(known.tried, key=lambda each: each.position)),
        assumptions=tuple(_assumptions(known)),
    )


def _hole(known: SearchState) -> ReleaseGap | None:
    if known.hole is None:
        return None
    first, last = known.hole
    answers = known.answers
    inside = all(answers.get(each) is ReleaseState.FAILS for each in range(first, last + 1))
    after = answers.get(last + 1)
    end = last == len(known.releases) - 1 or after is ReleaseState.WORKS
    return ReleaseGap(
        first=known.releases[first],
        last=known.releases[last],
        closed=any(each > last for each in known.at(ReleaseState.WORKS)),
        exact=inside and end and answers.get(first - 1) is ReleaseState.WORKS,
    )


def _assumptions(known: SearchState) -> Iterator[str]:
    if known.bracket is None:
        yield from _say(known, 0, len(known.releases), "are taken not to work, for none does")
        return
    low, high = known.bracket
    if low >= 0:
        yield from _say(known, 0, low, f"below {known.releases[low]} are taken not to work")
    yield from _say(
        known, low + 1, high, f"right before {known.releases[high]} were passed over: one may work"
    )
    above = f"above {known.releases[high]} are taken to be like their neighbours"
    yield from _say(known, high + 1, len(known.releases), above)


def _say(known: SearchState, start: int, end: int, what: str) -> Iterator[str]:
    """Yield what is assumed of releases that were not asked, and of those that could not tell."""
    stretch = range(start, end)
    unasked = [each for each in stretch if each not in known.answers]
    silent = [each for each in stretch if known.answers.get(each) is ReleaseState.CANNOT_TELL]
    if unasked:
        yield f"{_count(unasked)} not asked {what} ({_ends(known, unasked)})"
    if silent:
        yield f"{_count(silent)} that cannot tell {what} ({_ends(known, silent)})"


def _count(positions: Sequence[int]) -> str:
    return f"{len(positions)} release{'s' if len(positions) != 1 else ''}"


def _ends(known: SearchState, positions: Sequence[int]) -> str:
    first, last = known.releases[positions[0]], known.releases[positions[-1]]
    return first if first == last else f"{first} to {last}"


@dataclasses.dataclass(frozen=True)
class SearchStarted:
    """So many releases, of which at most `bound` will be asked about."""

    strategy: str
    releases: int
    documented: str | None
    bound: int


@dataclasses.dataclass(frozen=True)
class ReleaseRequested:
    """A release is about to be asked about, the `number`-th (from 1)."""

    release: str
    why: StepCause
    number: int


@dataclasses.dataclass(frozen=True)
class ReleaseTested:
    """What came of it."""

    release: str
    reply: OracleReply


@dataclasses.dataclass(frozen=True)
class RangeNarrowed:
    """The least that works is `works` now, and the newest below it that fails `fails`, if any."""

    fails: str | None
    works: str


@dataclasses.dataclass(frozen=True)
class GapFound:
    """The first hole has these ends now."""

    first: str
    last: str


@dataclasses.dataclass(frozen=True)
class SearchFinished:
    """The last event."""

    result: ReleaseSearchResult


Event = SearchStarted | ReleaseRequested | ReleaseTested | RangeNarrowed | GapFound | SearchFinished
