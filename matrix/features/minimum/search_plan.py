"""Search plans: the releases that a search can test, their cells, and the documented minimums.

Pure.
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


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """The options of the user; the rest follows from the documents.

    `framework` is a name or `name==version`; `since` and `until` are the ends of the releases that
    are searched; `ddtrace` is the tracer under which a framework's releases are searched.
    `available` are the CPythons to choose from where `python` is not set; none mean all.
    """

    target: str
    framework: str = ""
    python: str = ""
    channels: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    ddtrace: str = ""
    as_of: dt.date | None = None
    available: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True)
class DocumentedMinimum:
    """The minimum that one document names; `minimum` is the first release in its specifier."""

    claim: str
    document: str
    line: int
    as_written: str
    specifier: str
    minimum: str


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Releases that are not tested, ascending, and the reason."""

    reason: Reason
    detail: str
    releases: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class SearchPlan:
    """The plan of a search for the lowest release of `project` that shows `subject`.

    All cells are of one CPython and one target. `framework` is `name version`; where the
    framework's own releases are searched, `ddtrace` is the tracer that they are tested with.

    `cells` are by release, ascending; `releases` are all final ones there are. `denied` are the
    claims that it is not supported. `remarks` say how the framework was chosen.
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
    skipped: tuple[Skipped, ...] = ()
    promises: tuple[DocumentedMinimum, ...] = ()
    denied: tuple[Claim, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return the subject and the environment of the search in a few words."""
        under = f"on {self.framework}" if self.framework else f"under ddtrace {self.ddtrace}"
        return f"{self.subject} {under}, CPython {self.python}, {self.target}"

    @property
    def excludes_earlier(self) -> bool:
        """Return whether the options exclude releases before the first that is searched."""
        first = Version(next(iter(self.cells)))
        return any(
            Version(release) < first
            for skipped in self.skipped
            if skipped.reason is Reason.NOT_SELECTED
            for release in skipped.releases
        )

    @property
    def documented(self) -> str | None:
        """Return the lowest of the documented minimums."""
        return min((promise.minimum for promise in self.promises), key=Version, default=None)


def documented_minimums(
    stated: Iterable[tuple[Claim, Claim]], releases: Mapping[str, tuple[Release, ...]]
) -> Iterator[DocumentedMinimum]:
    """Yield the documented minimums; `releases` are those in each specifier.

    `stated` are pairs of a claim and the one with its minimum, which may be the same.
    """
    yielded = set()
    for claim, minimum in stated:
        matching = releases[minimum.specifier]
        # Several claims of one page may have the same minimum.
        if minimum.specifier and matching and minimum.id not in yielded:
            yielded.add(minimum.id)
            yield DocumentedMinimum(
                claim=claim.id,
                document=minimum.document,
                line=minimum.line,
                as_written=minimum.as_written,
                specifier=minimum.specifier,
                minimum=matching[0].text,
            )


@dataclasses.dataclass(frozen=True)
class SearchBounds:
    """The first and the last release that are searched; None where there is no such end."""

    since: Version | None
    until: Version | None

    @classmethod
    def parse(cls, since: str, until: str) -> SearchBounds:
        """Return the bounds that the options give; raise UsageError for an invalid version."""
        first, last = _parse_version(since, "--since"), _parse_version(until, "--until")
        if first is not None and last is not None and first > last:
            raise UsageError(f"--since {since} is later than --until {until}", "Swap them.")
        return cls(first, last)

    def contain(self, release: Release) -> bool:
        """Return whether a release is within the bounds, which are inclusive."""
        return (self.since is None or release.version >= self.since) and (
            self.until is None or release.version <= self.until
        )


def split_releases(
    project: Releases,
    bounds: SearchBounds,
    obstacle: Callable[[Release], Unsatisfiable | None],
    cell: Callable[[Release], PlannedCell],
) -> tuple[dict[str, PlannedCell], tuple[Skipped, ...]]:
    """Return the cells of the releases that can be tested, and the others by reason.

    Raises NothingSelectedError where no release can be tested.
    """
    cells: dict[str, PlannedCell] = {}
    details: dict[Reason, str] = {}
    releases: dict[Reason, list[str]] = {}
    for release in project.all:
        if not bounds.contain(release):
            why = Unsatisfiable(Reason.NOT_SELECTED, "outside of --since and --until")
        elif (found := obstacle(release)) is not None:
            why = found
        else:
            cells[release.text] = cell(release)
            continue
        # The detail of the last release stands for all.
        details[why.reason] = why.detail.removeprefix(f"{project.name} {release.text} ")
        releases.setdefault(why.reason, []).append(release.text)
    skipped = tuple(
        Skipped(reason, details[reason], tuple(texts)) for reason, texts in releases.items()
    )
    if not cells:
        reasons = "; ".join(f"{group.detail} ({len(group.releases)})" for group in skipped)
        raise NothingSelectedError(
            f"no release of {project.name} can be tested: {reasons or 'there is none'}",
            "Pass another CPython (--python), or other bounds (--since, --until).",
        )
    return cells, skipped


def find_release(project: Releases, version: str, option: str) -> Release:
    """Return a release by its version, the newest for ""; raise UsageError."""
    parsed = _parse_version(version, option)
    if parsed is None:
        return project.all[-1]
    for release in project.all:
        if release.version == parsed:
            return release
    raise UsageError(
        f"{option}: there is no final release {version} of {project.name}{project.until_note}"
        f"{did_you_mean(version, [release.text for release in project.all])}",
        f"The newest is {project.all[-1].text}." if project.all else "There is none at all.",
    )


def _parse_version(text: str, option: str) -> Version | None:
    if not text:
        return None
    try:
        return Version(text)
    except ValueError:
        raise UsageError(f"invalid version {text!r} for {option} (expected e.g. 1.10.0)") from None
