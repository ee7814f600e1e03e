"""Distributions that bear a library's name: one for all of its versions, or one for some.

A library may move to another distribution (psycopg2 became psycopg with 3.0), and a row may have
the name of a distribution (`psycopg2`), another name of the library, or that of a distribution with
the same API and versions (`elasticsearch7`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from packaging.specifiers import SpecifierSet

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_SLUG = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


@dataclasses.dataclass(frozen=True)
class NamedDistribution:
    """A distribution on the index, for the library's versions in `versions`."""

    versions: SpecifierSet
    name: str


def pick_distribution(distributions: Iterable[NamedDistribution], version: str) -> str:
    """Return the name of the first that has the version, "" where none has."""
    for item in distributions:
        if item.versions.contains(version, prereleases=True):
            return item.name
    return ""


def parse_distributions(value: object) -> tuple[NamedDistribution, ...]:
    """Parse the literal DISTRIBUTION; raise ValueError where it is invalid."""
    if value == "":
        return ()
    if isinstance(value, str):
        return (NamedDistribution(SpecifierSet(), _distribution(value)),)
    if not value or not isinstance(value, list):
        raise ValueError("expected a string or a list of pairs")
    return tuple(
        NamedDistribution(SpecifierSet(versions), _distribution(name))
        for versions, name in parse_pairs(value)
    )


def parse_synonyms(value: object) -> tuple[tuple[str, str], ...]:
    """Parse the literal SYNONYMS; raise ValueError where it is invalid."""
    pairs = parse_pairs(value)
    for name, distribution in pairs:
        if not _SLUG.fullmatch(name):
            raise ValueError(f"{name!r} is not the name of a row (expected such as 'psycopg2')")
        _distribution(distribution)
    return tuple(pairs)


def parse_pairs(value: object) -> list[tuple[str, str]]:
    """Parse a list of pairs of strings; raise ValueError where it is none."""
    if not isinstance(value, list):
        raise ValueError("expected a list of pairs")  # noqa: TRY004 - all problems are one kind
    return [_pair(item) for item in value]


def _pair(item: object) -> tuple[str, str]:
    if (
        isinstance(item, list | tuple)
        and len(item) == 2  # noqa: PLR2004 - a pair
        and isinstance(item[0], str)
        and isinstance(item[1], str)
    ):
        return item[0], item[1]
    raise ValueError(f"expected a pair of strings, not {item!r}")


def _distribution(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a distribution")
    return name
