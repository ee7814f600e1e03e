"""A search made ready: which releases can be asked, in which cells, and what documents say.

Which releases of a project a search can ask, and why not the others. Pure.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping

from packaging.version import Version

from matrix.errors import NothingSelectedError, UsageError, did_you_mean
from matrix.model.claim import Claim
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.planning.existence import Unsatisfiable
from matrix.pypi.releases import Release, Releases

__all__ = [
    "DocumentedMinimum",
    "SearchBounds",
    "SearchOptions",
    "SearchPlan",
    "Skipped",
    "documented_minimums",
    "find_release",
    "split_releases",
]


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """What the user settles; the rest follows from the documents.

    `framework` is a name or `name==version`; `since` and `until` are the ends of the releases that
    are searched; `ddtrace` is the tracer under which a framework's releases are searched.
    `at_hand` are the CPythons to choose from where `python` is not given; none are all.
    """

    target: str
    framework: str = ""
    python: str = ""
    channels: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    ddtrace: str = ""
    as_of: dt.date | None = None
    at_hand: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class DocumentedMinimum:
    """What one document says the least release is; `least` is the first that there is of those."""

    claim: str
    document: str
    line: int
    as_written: str
    specifier: str
    least: str


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Releases that are not asked, ascending, and why."""

    reason: Reason
    detail: str
    releases: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """The search for the least release of `project` that shows `subject`.

    All cells are of one CPython and one target. `framework` is `name version`, or where the
    framework's own releases are searched, `ddtrace` is the tracer that they are tried under.

    `cells` are by release, ascending; `releases` are all final ones there are. `denied` are the
    documents that say that it is not supported. `remarks` say what was settled beforehand.
    """

    subject: str
    project: str
    probe: str
    channels: tuple[str, ...]
    python: str
    target: str
    framework: str
    ddtrace: str
    snapshot: dt.datetime
    releases: tuple[str, ...]
    cells: Mapping[str, PlannedCell]
    passed_over: tuple[Skipped, ...] = ()
    promises: tuple[DocumentedMinimum, ...] = ()
    denied: tuple[Claim, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return what is searched and where, in a few words."""
        under = f"on {self.framework}" if self.framework else f"under ddtrace {self.ddtrace}"
        return f"{self.subject} {under}, CPython {self.python}, {self.target}"

    @property
    def is_cut(self) -> bool:
        """Return whether releases before the first that is searched were not asked for."""
        first = Version(next(iter(self.cells)))
        return any(
            Version(release) < first
            for each in self.passed_over
            if each.reason is Reason.NOT_SELECTED
            for release in each.releases
        )

    @property
    def documented(self) -> str | None:
        """Return the least of the documented minimums."""
        found = sorted({each.least for each in self.promises}, key=Version)
        return found[0] if found else None


def documented_minimums(
    stated: Iterable[tuple[Claim, Claim]], titles: Mapping[str, tuple[Release, ...]]
) -> Iterator[DocumentedMinimum]:
    """Yield the documented minimums; `titles` are the releases in each specifier.

    `stated` are a claim and the one whose version is its minimum, which may be the same.
    """
    told = set()
    for claim, minimum in stated:
        within = titles[minimum.specifier]
        # Several claims of one page may have the same minimum.
        if minimum.specifier and within and minimum.id not in told:
            told.add(minimum.id)
            yield DocumentedMinimum(
                claim=claim.id,
                document=minimum.document,
                line=minimum.line,
                as_written=minimum.as_written,
                specifier=minimum.specifier,
                least=within[0].text,
            )


@dataclasses.dataclass(frozen=True)
class SearchBounds:
    """The first and the last release that are searched; None where there is no such end."""

    since: Version | None
    until: Version | None

    @classmethod
    def of(cls, since: str, until: str) -> SearchBounds:
        """Return the ends as the user gives them; raise UsageError for what is no version."""
        first, last = _version_of(since, "--since"), _version_of(until, "--until")
        if first is not None and last is not None and first > last:
            raise UsageError(f"--since {since} is later than --until {until}", "Swap them.")
        return cls(first, last)

    def hold(self, title: Release) -> bool:
        """Return whether a release is between them; both ends are."""
        return (self.since is None or title.version >= self.since) and (
            self.until is None or title.version <= self.until
        )


def split_releases(
    shelf: Releases,
    ends: SearchBounds,
    why_not: Callable[[Release], Unsatisfiable | None],
    cell: Callable[[Release], PlannedCell],
) -> tuple[dict[str, PlannedCell], tuple[Skipped, ...]]:
    """Return the cells of the releases that can be asked, and the others by reason.

    Raises NothingSelectedError where none can be.
    """
    cells: dict[str, PlannedCell] = {}
    passed: dict[Reason, list[tuple[str, str]]] = {}
    for title in shelf.all:
        if not ends.hold(title):
            outside = (title.text, "outside of --since and --until")
            passed.setdefault(Reason.NOT_SELECTED, []).append(outside)
        elif (why := why_not(title)) is not None:
            said = why.detail.removeprefix(f"{shelf.name} {title.text} ")
            passed.setdefault(why.reason, []).append((title.text, said))
        else:
            cells[title.text] = cell(title)
    found = tuple(
        # One of them stands for all.
        Skipped(reason, texts[-1][1], tuple(text for text, _ in texts))
        for reason, texts in passed.items()
    )
    if not cells:
        told = "; ".join(f"{each.detail} ({len(each.releases)})" for each in found)
        raise NothingSelectedError(
            f"no release of {shelf.name} can be asked: {told or 'there is none'}",
            "Name another CPython (--python), or other ends (--since, --until).",
        )
    return cells, found


def find_release(shelf: Releases, version: str, option: str) -> Release:
    """Return a release by its version, the newest for none; raise UsageError."""
    wanted = _version_of(version, option)
    if wanted is None:
        return shelf.all[-1]
    for title in shelf.all:
        if title.version == wanted:
            return title
    raise UsageError(
        f"{option}: there is no final release {version} of {shelf.name}{shelf.until_note}"
        f"{did_you_mean(version, [title.text for title in shelf.all])}",
        f"The newest is {shelf.all[-1].text}." if shelf.all else "There is none at all.",
    )


def _version_of(text: str, option: str) -> Version | None:
    if not text:
        return None
    try:
        return Version(text)
    except ValueError:
        raise UsageError(f"{option} {text!r} is no version", "Such as 1.10.0.") from None
