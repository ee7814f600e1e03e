"""Specifier sets compared by what they mean, not by how they are spelled."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterable

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_version
from packaging.version import Version

__all__ = ["canonical", "contains", "lowest_named", "overlap", "same_releases"]

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
