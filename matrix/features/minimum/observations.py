"""States, events and the result of a search over releases."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from matrix.reporting.text import count_text


class ReleaseState(str, enum.Enum):
    """The answer for a release; one that cannot be installed or started cannot tell."""

    WORKS = "works"
    FAILS = "fails"
    CANNOT_TELL = "cannot-tell"


@dataclasses.dataclass(frozen=True)
class OracleReply:
    """The answer for one release; `reason` is a clause, always set for CANNOT_TELL."""

    answer: ReleaseState
    reason: str = ""


class StepCause(str, enum.Enum):
    """The cause for which a release is tested."""

    NEWEST = "newest"
    DOCUMENTED = "documented"
    ANY = "any"
    BISECT = "bisect"
    BESIDE = "beside"
    SAMPLE = "sample"
    HOLE = "hole"
    UPPER = "upper"
    EVERY = "every"
    # Tested for another search, or ahead of time as likely to be needed.
    GIVEN = "given"


@dataclasses.dataclass(frozen=True)
class SearchStep:
    """The release to test next, by its position."""

    position: int
    cause: StepCause


@dataclasses.dataclass(frozen=True)
class TestedRelease:
    """A release that was tested."""

    position: int
    release: str
    cause: StepCause
    reply: OracleReply


@dataclasses.dataclass(frozen=True)
class SearchState:
    """The state of a search: all releases, ascending, and those tested, in that order.

    `documented` is the position of the documented minimum, or None.
    """

    releases: tuple[str, ...]
    documented: int | None = None
    tried: tuple[TestedRelease, ...] = ()

    @functools.cached_property
    def answers(self) -> Mapping[int, ReleaseState]:
        """Return the answers by position."""
        return {tested.position: tested.reply.answer for tested in self.tried}

    def positions(self, answer: ReleaseState) -> tuple[int, ...]:
        """Return the positions with this answer, ascending."""
        return tuple(sorted(position for position, a in self.answers.items() if a is answer))

    def count(self, cause: StepCause, answer: ReleaseState | None = None) -> int:
        """Return how many releases were tested for a cause, or of these those with an answer."""
        return sum(
            tested.cause is cause and answer in {None, tested.reply.answer} for tested in self.tried
        )

    def untested_runs(self, low: int, high: int) -> Sequence[range]:
        """Return the runs of untested positions strictly between two, ascending."""
        runs: list[range] = []
        start = low + 1
        for position in [*(p for p in sorted(self.answers) if low < p < high), high]:
            if start < position:
                runs.append(range(start, position))
            start = position + 1
        return runs

    @functools.cached_property
    def bracket(self) -> tuple[int, int] | None:
        """Return the last position that fails below the lowest that works, and the latter.

        The first is -1 where none fails. Returns None where no release works.
        """
        works = self.positions(ReleaseState.WORKS)
        if not works:
            return None
        fails = [position for position in self.positions(ReleaseState.FAILS) if position < works[0]]
        return (fails[-1] if fails else -1, works[0])

    @functools.cached_property
    def hole(self) -> tuple[int, int] | None:
        """Return the first and last position known to fail of the first hole, None without one.

        A hole is a range that fails above the lowest release that works, up to the next that works.
        """
        if self.bracket is None:
            return None
        above = [p for p in self.positions(ReleaseState.FAILS) if p > self.bracket[1]]
        if not above:
            return None
        after = [p for p in self.positions(ReleaseState.WORKS) if p > above[0]]
        end = after[0] if after else len(self.releases)
        return above[0], max(position for position in above if position < end)


@dataclasses.dataclass(frozen=True)
class ReleaseGap:
    """A hole: releases known to fail above one that works; not all between them were tested.

    `closed` is whether a later release works again. `exact` is whether no release within or next to
    it is untested or cannot tell.
    """

    first: str
    last: str
    closed: bool
    exact: bool


@dataclasses.dataclass(frozen=True)
class ReleaseSearchResult:
    """The result of a search.

    `observed` is the lowest tested release that works, None where none does. `exact` is whether the
    release before it fails (or there is none). `highest` is the highest tested release that works,
    `ends` whether the release after it fails (or there is none). `tried` are ascending.
    `assumptions` are about the releases that were not tested or cannot tell.
    """

    documented: str | None
    observed: str | None
    exact: bool
    highest: str | None
    ends: bool
    first_hole: ReleaseGap | None
    tried: tuple[TestedRelease, ...]
    assumptions: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the result as plain JSON values."""
        return {
            "documented": self.documented,
            "observed": self.observed,
            "exact": self.exact,
            "highest": self.highest,
            "ends": self.ends,
            "first_hole": None if self.first_hole is None else dataclasses.asdict(self.first_hole),
            "tried": [
                {
                    "release": tested.release,
                    "answer": tested.reply.answer.value,
                    "reason": tested.reply.reason,
                    "asked_for": tested.cause.value,
                }
                for tested in self.tried
            ],
            "assumptions": list(self.assumptions),
        }


def summarize_search(state: SearchState) -> ReleaseSearchResult:
    """Return the result of the answers so far."""
    bracket = state.bracket
    highest = max(state.positions(ReleaseState.WORKS), default=None)
    after = None if highest is None else state.answers.get(highest + 1)
    last = highest == len(state.releases) - 1
    return ReleaseSearchResult(
        documented=None if state.documented is None else state.releases[state.documented],
        observed=None if bracket is None else state.releases[bracket[1]],
        exact=bracket is not None and bracket[0] == bracket[1] - 1,
        highest=None if highest is None else state.releases[highest],
        ends=highest is not None and (last or after is ReleaseState.FAILS),
        first_hole=_first_hole(state),
        tried=tuple(sorted(state.tried, key=lambda tested: tested.position)),
        assumptions=tuple(_assumptions(state)),
    )


def _first_hole(state: SearchState) -> ReleaseGap | None:
    if state.hole is None:
        return None
    first, last = state.hole
    answers = state.answers
    all_fail = all(answers.get(p) is ReleaseState.FAILS for p in range(first, last + 1))
    ends = last == len(state.releases) - 1 or answers.get(last + 1) is ReleaseState.WORKS
    return ReleaseGap(
        first=state.releases[first],
        last=state.releases[last],
        closed=any(position > last for position in state.positions(ReleaseState.WORKS)),
        exact=all_fail and ends and answers.get(first - 1) is ReleaseState.WORKS,
    )


def _assumptions(state: SearchState) -> Iterator[str]:
    count = len(state.releases)
    if state.bracket is None:
        yield from _assume(state, range(count), "are taken not to work, for none does")
        return
    low, high = state.bracket
    boundary = state.releases[high]
    if low >= 0:
        text = f"below {state.releases[low]} are taken not to work"
        yield from _assume(state, range(low), text)
    text = f"right before {boundary} were skipped: one may work"
    yield from _assume(state, range(low + 1, high), text)
    text = f"above {boundary} are taken to be like their neighbours"
    yield from _assume(state, range(high + 1, count), text)


def _assume(state: SearchState, positions: range, text: str) -> Iterator[str]:
    """Yield the assumption on untested releases, and that on those that cannot tell."""
    untested = [p for p in positions if p not in state.answers]
    silent = [p for p in positions if state.answers.get(p) is ReleaseState.CANNOT_TELL]
    for group, condition in ((untested, "not tested"), (silent, "that cannot tell")):
        if group:
            ends = range_text(state.releases[group[0]], state.releases[group[-1]])
            yield f"{count_text(len(group), 'release')} {condition} {text} ({ends})"


def range_text(first: str, last: str) -> str:
    """Return a range of releases in words; it may be a single one."""
    return first if first == last else f"{first} to {last}"


@dataclasses.dataclass(frozen=True)
class RangeNarrowed:
    """`works` is now the lowest that works, `fails` the newest below it that fails, if any."""

    fails: str | None
    works: str


@dataclasses.dataclass(frozen=True)
class GapFound:
    """The first hole has these ends now."""

    first: str
    last: str


SearchEvent: TypeAlias = RangeNarrowed | GapFound
