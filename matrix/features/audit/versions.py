"""Specifier sets compared by what they mean, not by how they are spelled.

Runs of releases: which of an ordered list are meant, in a few words.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Collection, Iterable, Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_version
from packaging.version import Version

__all__ = [
    "ReleaseRange",
    "canonical",
    "contains",
    "in_words",
    "lowest_named",
    "members",
    "overlap",
    "runs_of",
    "same_releases",
]

_LOWER = (">=", ">", "==", "~=")


@functools.lru_cache(maxsize=4096)
def _parsed(specifier: str) -> SpecifierSet:
    try:
        return SpecifierSet(specifier)
    except InvalidSpecifier:
        return SpecifierSet()


@functools.lru_cache(maxsize=4096)
def canonical(specifier: str) -> str:
    """Return one spelling for sets that mean the same: `1.x`, `>=1.0,<2` and `<2.0,>=1` are one.

    What is no specifier set at all is returned as it stands.
    """
    if not str(_parsed(specifier)) and specifier:
        return specifier
    bounds: set[str] = set()
    for one in _parsed(specifier):
        if one.operator == "==" and one.version.endswith(".*"):
            bounds |= _series(one.version[:-2])
        elif one.operator == "~=":
            bounds |= {f">={_trimmed(one.version)}", *_series(one.version.rpartition(".")[0])}
        else:
            bounds.add(one.operator + _trimmed(one.version))
    lowest = {bound for bound in bounds if bound.startswith(">=")}
    if len(lowest) > 1:
        bounds -= lowest - {max(lowest, key=lambda bound: Version(bound[2:]))}
    return ",".join(sorted(bounds - {">=0"}, reverse=True))


def _series(start: str) -> set[str]:
    numbers = [int(part) for part in re.findall(r"\d+", start)]
    after = ".".join(map(str, [*numbers[:-1], numbers[-1] + 1]))
    return {f">={_trimmed(start)}", f"<{_trimmed(after)}"}


def _trimmed(version: str) -> str:
    if version.endswith(".*"):
        return version
    return canonicalize_version(version)


def contains(specifier: str, version: Version | str) -> bool:
    """Return whether a version is in the set; an empty set takes all."""
    return _parsed(specifier).contains(version, prereleases=True)


def overlap(one: str, other: str) -> bool:
    """Return whether some version is in both sets.

    Bounds are intervals: if there is such a version, one of the bounds, or what comes just before
    or after it, is one.
    """
    return any(
        contains(one, version) and contains(other, version) for version in _around((one, other))
    )


def same_releases(one: Collection[str], other: Collection[str]) -> bool:
    """Return whether two lists of sets, each taken together, hold the same versions."""
    return all(
        any(contains(each, version) for each in one)
        == any(contains(each, version) for each in other)
        for version in _around((*one, *other))
    )


def _around(specifiers: Iterable[str]) -> set[Version]:
    found = {Version("0")}
    for specifier in specifiers:
        for each in _parsed(specifier):
            version = Version(each.version.removesuffix(".*"))
            found |= {version, Version(f"{version.base_version}.0.1")}
            *head, last = version.release
            if last:
                before = ".".join(map(str, [*head, last - 1, 999999]))
                found.add(Version(f"{version.epoch}!{before}"))
    return found


def lowest_named(specifier: str) -> Version | None:
    """Return the version that the set starts with (`>=1.9.0`), None where it has no lower end."""
    named = _lower_ends(specifier)
    return max(named) if named else None


def _lower_ends(specifier: str) -> list[Version]:
    return [
        Version(each.version.removesuffix(".*"))
        for each in _parsed(specifier)
        if each.operator in _LOWER
    ]


# Up to so many releases that interrupt a run are named; more of them make two runs.
_NAMED_GAP = 3


@dataclasses.dataclass(frozen=True)
class ReleaseRange:
    """The releases from `first` to `last`, both meant, without those in `gaps`."""

    first: str
    last: str
    gaps: tuple[str, ...] = ()


def runs_of(ordered: Sequence[str], meant: Collection[str]) -> tuple[ReleaseRange, ...]:
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
        ReleaseRange(
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


def members(ordered: Sequence[str], runs: Iterable[ReleaseRange]) -> tuple[str, ...]:
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


def _words(run: ReleaseRange, ordered: Sequence[str]) -> str:
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
