"""Claims grouped by page and topic, and assessments of which page is likely out of date.

An assessment compares the newest releases that pages name, or the release stages they report. It
does not decide which page is right, and names no page if the evidence is missing or inconsistent.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from packaging.version import Version

from matrix.features.audit.findings import DocumentLine
from matrix.features.audit.versions import canonical, lower_bound
from matrix.model.claim import Claim, ClaimKind
from matrix.model.index import Project
from matrix.system.data_files import read_data

# The kinds of claims whose specifiers are releases of the library itself.
_ON_THE_LIBRARY = (ClaimKind.CAPABILITY, ClaimKind.BRANCH, ClaimKind.RUNTIME, ClaimKind.NOTE)
_LIBRARY_ITSELF = (ClaimKind.BRANCH, ClaimKind.RUNTIME)


@dataclasses.dataclass(frozen=True, order=True)
class ClaimTopic:
    """The topic of a claim on any page: kind, row and column of its table.

    `releases` is the canonical specifier of the library's releases in a runtime's row, because such
    tables have rows for each branch.
    """

    kind: ClaimKind
    row: str
    column: str = ""
    releases: str = ""

    def __str__(self) -> str:
        text = "/".join(filter(None, (self.kind.value, self.row, self.column)))
        return f"{text} (ddtrace {self.releases})" if self.releases else text


@dataclasses.dataclass(frozen=True, eq=False)
class AuditedPage:
    """A document; `unread` are lines that were not understood or that include another file."""

    document: str
    claims: tuple[Claim, ...]
    unread: tuple[int, ...] = ()

    @functools.cached_property
    def product(self) -> str:
        """Return the product of the page; a page about no known product is its own product."""
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
    def topics(self) -> Mapping[ClaimTopic, tuple[Claim, ...]]:
        """Return the claims by topic."""
        topics: dict[ClaimTopic, tuple[Claim, ...]] = defaultdict(tuple)
        for claim in self.claims:
            topics[_topic_of(claim)] += (claim,)
        return dict(topics)

    def of_kind(self, *kinds: ClaimKind) -> tuple[Claim, ...]:
        """Return the claims of these kinds."""
        return tuple(claim for claim in self.claims if claim.kind in kinds)

    def line_of_missing(self, topic: ClaimTopic, says: str) -> DocumentLine:
        """Return the first line of the table that lacks a topic."""
        line = min((claim.line for claim in self.of_kind(topic.kind)), default=1)
        return DocumentLine(self.document, line, says)

    def comparable_with(self, other: AuditedPage, kind: ClaimKind) -> bool:
        """Return whether two pages should have the same rows of a kind.

        All pages with tables of the library's branches or runtimes should agree on those; on
        everything else only pages of one product.
        """
        if kind in _LIBRARY_ITSELF:
            return bool(self.of_kind(kind))
        return self.product == other.product


def _topic_of(claim: Claim) -> ClaimTopic:
    kind, subject = claim.kind, claim.subject
    row, column, releases = subject, claim.get("capability") or "", ""
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
    return ClaimTopic(kind, row, column, releases)


Dates: TypeAlias = Callable[[Version], "dt.date | None"]


@dataclasses.dataclass(frozen=True)
class Assessment:
    """The reason, and the documents that are likely out of date (none if unknown)."""

    reason: str
    stale: Collection[str] = ()


def no_dates(_: Version) -> dt.date | None:
    """Return None: the dates of releases are not available."""
    return None


def release_dates(project: Project) -> Dates:
    """Return a function from a version to its release date; for `2.0` the first of its series."""
    uploaded = {
        Version(release.version): release.uploaded.date()
        for release in project.releases
        if release.uploaded is not None
    }

    def date_of(version: Version) -> dt.date | None:
        if version in uploaded:
            return uploaded[version]
        size = len(version.release)
        series = (
            date for other, date in uploaded.items() if other.release[:size] == version.release
        )
        return min(series, default=None)

    return date_of


def newest_release(page: AuditedPage, kinds: Iterable[ClaimKind]) -> Version | None:
    """Return the newest lower bound of the library's releases on the page."""
    bounds = (lower_bound(claim.specifier) for claim in page.of_kind(*kinds))
    return max(filter(None, bounds), default=None)


def dated_version(version: Version, dates: Dates) -> str:
    """Return a version with its release date, if known."""
    date = dates(version)
    return f"{version} (released {date:%Y-%m-%d})" if date else str(version)


def compare_newest(
    one: Sequence[AuditedPage],
    other: Sequence[AuditedPage],
    dates: Dates,
    table: ClaimKind | None = None,
) -> Assessment:
    """Assess two sides by the newest releases that their pages name.

    The age of what a page says of the library's own branches and runtimes is that of these tables.
    A side is likely out of date if all newest releases of its pages are older than those of each
    page of the other side.
    """
    kinds = _LIBRARY_ITSELF if table in _LIBRARY_ITSELF else _ON_THE_LIBRARY
    first, second = (
        [version for page in side if (version := newest_release(page, kinds)) is not None]
        for side in (one, other)
    )
    for side, own, others in ((one, first, second), (other, second, first)):
        if len(own) == len(side) and own and others and max(own) < min(others):
            stale = [page.document for page in side]
            names = "it names is" if len(side) == 1 else "they name is"
            return Assessment(
                f"likely out of date: {', '.join(stale)}; the newest release {names}"
                f" {dated_version(max(own), dates)}, the other side names"
                f" {dated_version(min(others), dates)}",
                stale,
            )
    if not first or not second:
        return Assessment("cannot tell which: not every page names releases")
    return Assessment(
        f"cannot tell which: the newest releases named are {_span(first)} against {_span(second)}"
    )


def compare_stages(statuses: Mapping[str, str], ladder: str) -> Assessment | None:
    """Assess documents by stages that follow each other in time (`ladder` in `data/audit.toml`).

    `statuses` are by document. Documents with an earlier stage are likely out of date. Returns None
    if a status is not on the ladder.
    """
    stages: Sequence[str] = read_data("audit")["stages"][ladder]
    if not set(stages).issuperset(statuses.values()):
        return None
    reached = max(map(stages.index, statuses.values()))
    behind = sorted(name for name, status in statuses.items() if stages.index(status) < reached)
    return Assessment(
        f"likely out of date: {', '.join(behind)}; the stages follow each other in time"
        f" ({' -> '.join(stages)}), and another page has reached {stages[reached]}",
        behind,
    )


def _span(versions: Sequence[Version]) -> str:
    low, high = min(versions), max(versions)
    return str(low) if low == high else f"{low} to {high}"
