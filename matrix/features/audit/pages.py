"""Claims by page: which product a page is about, and what stands where in its tables.

Which side is likely out of date: by the releases that the pages name, and by stages of time.

Nothing here decides which side is right. Where the signs are missing or disagree, the answer is
that it cannot be told.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.features.audit.findings import DocumentLine
from matrix.features.audit.versions import canonical, lowest_named
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.index import Project
from matrix.system.data_files import read_data

__all__ = [
    "AuditedPage",
    "Dates",
    "Opinion",
    "PageSpot",
    "by_newest",
    "by_stage",
    "dates_of",
    "named",
    "newest_of",
    "no_dates",
    "pages_of",
    "spot_of",
]

_LIBRARY_ITSELF = frozenset({ClaimKind.BRANCH, ClaimKind.RUNTIME})


@dataclasses.dataclass(frozen=True, order=True)
class PageSpot:
    """What a claim is about, wherever it stands: the row and the column of a kind of table.

    `releases` are those of the library that a runtime's row is about (canonical): a table has a
    row for each branch.
    """

    kind: str
    row: str
    column: str = ""
    releases: str = ""

    @property
    def thing(self) -> PageSpot:
        """Return what it is about, whatever the releases."""
        return dataclasses.replace(self, releases="")

    def __str__(self) -> str:
        named = "/".join(part for part in (self.kind, self.row, self.column) if part)
        return f"{named} (ddtrace {self.releases})" if self.releases else named


@dataclasses.dataclass(frozen=True, eq=False)
class AuditedPage:
    """One document. `unread` are lines that were not understood, or stand in another file."""

    document: str
    claims: tuple[Claim, ...]
    unread: tuple[int, ...] = ()

    @functools.cached_property
    def product(self) -> str:
        """Return what the page is about; one about nothing known is alone of its kind."""
        capabilities = {
            claim.subject for claim in self.claims if claim.kind is ClaimKind.CAPABILITY
        }
        kinds = {claim.kind.value for claim in self.claims}
        for product in read_data("audit")["products"]:
            if capabilities.intersection(product.get("capabilities", ())):
                return str(product["name"])
            if kinds.issuperset(product.get("tables", ("",))):
                return str(product["name"])
        return self.document

    @functools.cached_property
    def spots(self) -> Mapping[PageSpot, tuple[Claim, ...]]:
        """Return the claims by what they are about."""
        found: dict[PageSpot, list[Claim]] = {}
        for claim in self.claims:
            found.setdefault(spot_of(claim), []).append(claim)
        return {spot: tuple(claims) for spot, claims in found.items()}

    def of_kind(self, *kinds: ClaimKind) -> tuple[Claim, ...]:
        """Return the claims of some kinds."""
        return tuple(claim for claim in self.claims if claim.kind in kinds)

    def lacking(self, spot: PageSpot, says: str) -> DocumentLine:
        """Return where something would stand that the page does not have."""
        same = self.of_kind(ClaimKind(spot.kind))
        line = min((claim.line for claim in same), default=1)
        return DocumentLine(self.document, line, says)

    def comparable_with(self, other: AuditedPage, kind: ClaimKind) -> bool:
        """Return whether the one should have the rows of a kind that the other has.

        Every page that says something of the library's own branches and runtimes should say the
        same; of everything else only the pages of one product.
        """
        if kind in _LIBRARY_ITSELF:
            return bool(self.of_kind(kind))
        return self.product == other.product


def pages_of(
    claims: Iterable[Claim], unread: Mapping[str, Sequence[int]] | None = None
) -> tuple[AuditedPage, ...]:
    """Return the pages in the claims' order."""
    found: dict[str, list[Claim]] = {}
    for claim in claims:
        found.setdefault(claim.document, []).append(claim)
    return tuple(
        AuditedPage(name, tuple(own), tuple((unread or {}).get(name, ())))
        for name, own in found.items()
    )


def spot_of(claim: Claim) -> PageSpot:
    """Return what a claim is about."""
    kind, subject = claim.kind, claim.subject
    scoped = claim.get("capability") or ""
    row, column, releases = subject, scoped, ""
    if kind is ClaimKind.DEPLOYMENT:
        row, column = claim.get("deployment") or "", subject
    elif kind is ClaimKind.BRANCH:
        row = canonical(claim.specifier)
    elif kind is ClaimKind.RUNTIME:
        machine = " ".join(filter(None, (claim.get("os"), claim.get("cpu"))))
        row, column = f"{subject} {claim.get('python') or ''}".strip(), machine
        releases = canonical(claim.specifier)
    elif kind is ClaimKind.INTEGRATION:
        row = " ".join(filter(None, (subject, claim.get("backend"), claim.get("role"))))
    return PageSpot(kind.value, row, column, releases)


def named(claim: Claim) -> str:
    """Return what a claim says, in a few words, as its page writes it."""
    words = [claim.specifier, claim.status.value]
    words += [f"{key} {value}" for key, value in claim.scope if key in ("automatic", "until")]
    return ", ".join(word for word in words if word)


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


def newest_of(page: AuditedPage, kinds: Iterable[ClaimKind]) -> Version | None:
    """Return the newest release of the library at which something on the page starts."""
    named = [lowest_named(claim.specifier) for claim in page.of_kind(*kinds)]
    return max((version for version in named if version is not None), default=None)


def told(version: Version, dates: Dates) -> str:
    """Return a version with the date of its release, where that is known."""
    date = dates(version)
    return f"{version} (released {date:%Y-%m-%d})" if date else str(version)


def by_newest(
    one: Sequence[AuditedPage],
    other: Sequence[AuditedPage],
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


def _listed(pages: Iterable[AuditedPage]) -> str:
    return ", ".join(page.document for page in pages)


def _span(versions: Sequence[Version]) -> str:
    low, high = min(versions), max(versions)
    return str(low) if low == high else f"{low} to {high}"
