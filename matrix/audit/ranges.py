"""Runs of releases: which of an ordered list are meant, in a few words."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Sequence

__all__ = ["Run", "in_words", "members", "runs_of"]

# Up to so many releases that interrupt a run are named; more of them make two runs.
_NAMED_GAP = 3


@dataclasses.dataclass(frozen=True)
class Run:
    """The releases from `first` to `last`, both meant, without those in `gaps`."""

    first: str
    last: str
    gaps: tuple[str, ...] = ()


def runs_of(ordered: Sequence[str], meant: Collection[str]) -> tuple[Run, ...]:
    """Return the fewest runs that hold exactly those of `ordered` that are meant.

    A gap of a few releases is named within a run that is longer than the gap on either side of it.
    """
    meant = frozenset(meant)
    pieces: list[tuple[int, int]] = []
    for position, release in enumerate(ordered):
        if release not in meant:
            continue
        if pieces and pieces[-1][1] == position - 1:
            pieces[-1] = (pieces[-1][0], position)
        else:
            pieces.append((position, position))
    joined: list[list[tuple[int, int]]] = []
    for piece in pieces:
        if joined and _small_gap(joined[-1][-1], piece):
            joined[-1].append(piece)
        else:
            joined.append([piece])
    return tuple(
        Run(
            ordered[group[0][0]],
            ordered[group[-1][1]],
            tuple(
                ordered[position]
                for (_, end), (start, _) in itertools.pairwise(group)
                for position in range(end + 1, start)
            ),
        )
        for group in joined
    )


def members(ordered: Sequence[str], runs: Iterable[Run]) -> tuple[str, ...]:
    """Return the releases that the runs mean, in order; the way back from `runs_of`."""
    at = {release: position for position, release in enumerate(ordered)}
    found: set[str] = set()
    for run in runs:
        found |= set(ordered[at[run.first] : at[run.last] + 1]) - set(run.gaps)
    return tuple(release for release in ordered if release in found)


def in_words(ordered: Sequence[str], meant: Collection[str]) -> str:
    """Return `always`, `never`, `from 1.6.0 on`, `up to 1.8.2`, `1.0.0 to 1.2.1 but not 1.1.0`."""
    runs = runs_of(ordered, meant)
    if not runs:
        return "never"
    alone = len(runs) == 1 and runs[0].first == runs[0].last
    if alone and runs[0].first not in (ordered[0], ordered[-1]):
        return f"only {runs[0].first}"
    return ", ".join(_words(run, ordered) for run in runs)


def _small_gap(before: tuple[int, int], after: tuple[int, int]) -> bool:
    gap = after[0] - before[1] - 1
    return gap <= _NAMED_GAP and all(end - start + 1 > gap for start, end in (before, after))


def _words(run: Run, ordered: Sequence[str]) -> str:
    starts, ends = run.first == ordered[0], run.last == ordered[-1]
    if starts and ends:
        text = "always"
    elif ends:
        text = f"from {run.first} on"
    elif starts:
        text = f"up to {run.last}"
    elif run.first == run.last:
        text = run.first
    else:
        text = f"{run.first} to {run.last}"
    return text + (f" but not {', '.join(run.gaps)}" if run.gaps else "")
