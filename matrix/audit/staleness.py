"""Which side is likely out of date: by the releases that the pages name, and by stages of time.

Nothing here decides which side is right. Where the signs are missing or disagree, the answer is
that it cannot be told.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.audit.documents_pages import Page
from matrix.audit.specifiers import lowest_named
from matrix.model.claim import ClaimKind, Status
from matrix.model.index import Project
from matrix.planning.data import read_data

__all__ = ["Dates", "Opinion", "by_newest", "by_stage", "dates_of", "newest_of", "no_dates"]

Dates: TypeAlias = Callable[[Version], "dt.date | None"]

ON_THE_LIBRARY = (ClaimKind.CAPABILITY, ClaimKind.BRANCH, ClaimKind.RUNTIME, ClaimKind.NOTE)
"""The kinds of claims whose specifiers are about releases of the library itself."""


@dataclasses.dataclass(frozen=True)
class Opinion:
    """The documents that are likely out of date, none where that cannot be told, and why."""

    stale: frozenset[str]
    reason: str


def no_dates(_: Version) -> dt.date | None:
    """Know no dates: the index was not asked."""
    return None


def dates_of(project: Project) -> Dates:
    """Return when a version was released: that very one, or for `2.0` the first of the series."""
    known: dict[Version, dt.date] = {}
    for release in project.releases:
        if release.uploaded is not None:
            known[Version(release.version)] = release.uploaded.date()

    def released(version: Version) -> dt.date | None:
        if version in known:
            return known[version]
        size = len(version.release)
        series = (date for one, date in known.items() if one.release[:size] == version.release)
        return min(series, default=None)

    return released


def newest_of(page: Page, kinds: Iterable[ClaimKind]) -> Version | None:
    """Return the newest release of the library at which something on the page starts."""
    named = [lowest_named(claim.specifier) for claim in page.of_kind(*kinds)]
    return max((version for version in named if version is not None), default=None)


def told(version: Version, dates: Dates) -> str:
    """Return a version with the date of its release, where that is known."""
    date = dates(version)
    return f"{version} (released {date:%Y-%m-%d})" if date else str(version)


def by_newest(
    one: Sequence[Page],
    other: Sequence[Page],
    dates: Dates,
    kinds: Sequence[ClaimKind] = ON_THE_LIBRARY,
) -> Opinion:
    """Compare the newest release that the pages of each side name; no side is taken silently.

    A side is likely out of date where every page of it names only releases older than the newest
    that each page of the other side names.
    """
    sides = [[newest_of(page, kinds) for page in side] for side in (one, other)]
    known = [[version for version in side if version is not None] for side in sides]
    for side, mine, theirs in ((one, known[0], known[1]), (other, known[1], known[0])):
        if len(mine) == len(side) and mine and theirs and max(mine) < min(theirs):
            newest = f"{told(max(mine), dates)}, the other side names {told(min(theirs), dates)}"
            names = "it names is" if len(side) == 1 else "they name is"
            return Opinion(
                frozenset(page.document for page in side),
                f"likely out of date: {_listed(side)}; the newest release {names} {newest}",
            )
    if not known[0] or not known[1]:
        return Opinion(frozenset(), "cannot tell which: not every page names releases")
    spans = " against ".join(_span(side) for side in known)
    return Opinion(frozenset(), f"cannot tell which: the newest releases named are {spans}")


def by_stage(statuses: Mapping[str, Status], ladder: str) -> Opinion | None:
    """Compare stages that follow each other in time (`data/audit.toml`), None where they do not.

    `statuses` are by document. A promise goes up its ladder only: an earlier stage was written
    earlier.
    """
    stages: Sequence[str] = read_data("audit")["stages"][ladder]
    if any(status.value not in stages for status in statuses.values()):
        return None
    reached = max(stages.index(status.value) for status in statuses.values())
    behind = {name: s for name, s in statuses.items() if stages.index(s.value) < reached}
    order = " -> ".join(stages)
    return Opinion(
        frozenset(behind),
        f"likely out of date: {', '.join(sorted(behind))}; the stages follow each other in time"
        f" ({order}), and another page has reached {stages[reached]}",
    )


def _listed(pages: Iterable[Page]) -> str:
    return ", ".join(page.document for page in pages)


def _span(versions: Sequence[Version]) -> str:
    low, high = min(versions), max(versions)
    return str(low) if low == high else f"{low} to {high}"
