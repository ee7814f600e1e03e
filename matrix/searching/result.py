"""The answer of a search, and what it rests on."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from matrix.searching.known import Known, Tried
from matrix.searching.oracle import Answer

__all__ = ["Hole", "Result", "result_of"]


@dataclasses.dataclass(frozen=True)
class Hole:
    """Releases known to fail above one that works; what lies between them was not all asked.

    `closed` is whether a later release works again. `exact` is whether nothing that was not asked,
    or could not tell, is within or next to it.
    """

    first: str
    last: str
    closed: bool
    exact: bool


@dataclasses.dataclass(frozen=True)
class Result:
    """`observed` is the least release that works, of those asked; None where none does.

    `exact` is whether the release before it fails (or there is none). `tried` ascend as the
    releases do. `assumptions` say what was taken for granted of releases that were not asked, or
    could not tell.
    """

    documented: str | None
    observed: str | None
    exact: bool
    first_hole: Hole | None
    tried: tuple[Tried, ...]
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


def result_of(known: Known) -> Result:
    """Return what the answers so far amount to."""
    bracket = known.bracket
    return Result(
        documented=None if known.documented is None else known.releases[known.documented],
        observed=None if bracket is None else known.releases[bracket[1]],
        exact=bracket is not None and bracket[0] == bracket[1] - 1,
        first_hole=_hole(known),
        tried=tuple(sorted(known.tried, key=lambda each: each.position)),
        assumptions=tuple(_assumptions(known)),
    )


def _hole(known: Known) -> Hole | None:
    if known.hole is None:
        return None
    first, last = known.hole
    answers = known.answers
    inside = all(answers.get(each) is Answer.FAILS for each in range(first, last + 1))
    after = answers.get(last + 1)
    end = last == len(known.releases) - 1 or after is Answer.WORKS
    return Hole(
        first=known.releases[first],
        last=known.releases[last],
        closed=any(each > last for each in known.at(Answer.WORKS)),
        exact=inside and end and answers.get(first - 1) is Answer.WORKS,
    )


def _assumptions(known: Known) -> Iterator[str]:
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


def _say(known: Known, start: int, end: int, what: str) -> Iterator[str]:
    """Yield what is assumed of releases that were not asked, and of those that could not tell."""
    stretch = range(start, end)
    unasked = [each for each in stretch if each not in known.answers]
    silent = [each for each in stretch if known.answers.get(each) is Answer.CANNOT_TELL]
    if unasked:
        yield f"{_count(unasked)} not asked {what} ({_ends(known, unasked)})"
    if silent:
        yield f"{_count(silent)} that cannot tell {what} ({_ends(known, silent)})"


def _count(positions: Sequence[int]) -> str:
    return f"{len(positions)} release{'s' if len(positions) != 1 else ''}"


def _ends(known: Known, positions: Sequence[int]) -> str:
    first, last = known.releases[positions[0]], known.releases[positions[-1]]
    return first if first == last else f"{first} to {last}"
