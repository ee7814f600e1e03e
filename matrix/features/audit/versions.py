"""Comparison of specifier sets by meaning, and ranges of releases in words."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
from collections.abc import Collection, Iterable, Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_version
from packaging.version import Version

_LOWER = (">=", ">", "==", "~=")
# The largest gap that is listed within a range; a larger one separates two ranges.
_MAX_GAP = 3


@functools.lru_cache(maxsize=4096)
def _parsed(specifier: str) -> SpecifierSet:
    try:
        return SpecifierSet(specifier)
    except InvalidSpecifier:
        return SpecifierSet()


@functools.lru_cache(maxsize=4096)
def canonical(specifier: str) -> str:
    """Return one spelling for equal sets, e.g. for `==1.*`, `>=1.0,<2` and `<2.0,>=1`.

    An invalid specifier set is returned unchanged.
    """
    if not str(_parsed(specifier)) and specifier:
        return specifier
    bounds: set[str] = set()
    for clause in _parsed(specifier):
        operator, version = clause.operator, clause.version
        if operator == "==" and version.endswith(".*"):
            bounds |= _series(version[:-2])
        elif operator == "~=":
            bounds |= {f">={_trimmed(version)}", *_series(version.rpartition(".")[0])}
        else:
            bounds.add(operator + _trimmed(version))
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
    """Return whether a version is in the set; an empty set contains all."""
    return _parsed(specifier).contains(version, prereleases=True)


def overlap(one: str, other: str) -> bool:
    """Return whether some version is in both sets.

    Sets are unions of intervals, so it is enough to test each bound and its neighbours.
    """
    return any(
        contains(one, version) and contains(other, version) for version in _samples((one, other))
    )


def same_releases(one: Collection[str], other: Collection[str]) -> bool:
    """Return whether the unions of two lists of sets contain the same versions."""
    return all(
        any(contains(specifier, version) for specifier in one)
        == any(contains(specifier, version) for specifier in other)
        for version in _samples((*one, *other))
    )


def _samples(specifiers: Iterable[str]) -> set[Version]:
    """Return the bounds of the sets with the versions just before and after them."""
    samples = {Version("0")}
    for specifier in specifiers:
        for clause in _parsed(specifier):
            version = Version(clause.version.removesuffix(".*"))
            samples |= {version, Version(f"{version.base_version}.0.1")}
            *head, last = version.release
            if last:
                before = ".".join(map(str, [*head, last - 1, 999999]))
                samples.add(Version(f"{version.epoch}!{before}"))
    return samples


def lower_bound(specifier: str) -> Version | None:
    """Return the version that the set starts with (`>=1.9.0`), None without a lower bound."""
    return max(
        (
            Version(clause.version.removesuffix(".*"))
            for clause in _parsed(specifier)
            if clause.operator in _LOWER
        ),
        default=None,
    )


@dataclasses.dataclass(frozen=True)
class ReleaseRange:
    """The releases from `first` to `last` (inclusive) without those in `gaps`."""

    first: str
    last: str
    gaps: tuple[str, ...] = ()

    @property
    def exceptions(self) -> str:
        """Return the gaps in words."""
        return f" but not {', '.join(self.gaps)}" if self.gaps else ""

    def __str__(self) -> str:
        ends = self.first if self.first == self.last else f"{self.first} to {self.last}"
        return ends + self.exceptions


def group_releases(ordered: Sequence[str], selected: Collection[str]) -> tuple[ReleaseRange, ...]:
    """Return the ranges that contain exactly the `selected` ones of the releases in `ordered`.

    A small gap is part of a range if the runs before and after it are longer than the gap.
    """
    selected = frozenset(selected)
    ranges: list[ReleaseRange] = []
    before: list[str] = []
    gap: list[str] = []
    for is_selected, releases in itertools.groupby(ordered, selected.__contains__):
        run = list(releases)
        if not is_selected:
            gap = run
            continue
        if ranges and len(gap) <= _MAX_GAP and len(gap) < min(len(before), len(run)):
            gaps = (*ranges[-1].gaps, *gap)
            ranges[-1] = dataclasses.replace(ranges[-1], last=run[-1], gaps=gaps)
        else:
            ranges.append(ReleaseRange(run[0], run[-1]))
        before = run
    return tuple(ranges)


def describe_releases(ordered: Sequence[str], selected: Collection[str]) -> str:
    """Return `always`, `never`, `from 1.6.0 on`, `up to 1.8.2`, `1.0.0 to 1.2.1 but not 1.1.0`."""
    ranges = group_releases(ordered, selected)
    if not ranges:
        return "never"
    first = ranges[0].first
    if len(ranges) == 1 and first == ranges[0].last and first not in (ordered[0], ordered[-1]):
        return f"only {first}"
    return ", ".join(_describe(span, ordered) for span in ranges)


def _describe(span: ReleaseRange, ordered: Sequence[str]) -> str:
    starts, ends = span.first == ordered[0], span.last == ordered[-1]
    if starts and ends:
        return f"always{span.exceptions}"
    if ends:
        return f"from {span.first} on{span.exceptions}"
    if starts:
        return f"up to {span.last}{span.exceptions}"
    return str(span)
