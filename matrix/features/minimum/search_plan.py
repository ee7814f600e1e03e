"""Search plans: their subjects, their options, and the releases that they can test. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping, Sequence

from packaging.version import Version

from matrix.errors import NothingSelectedError, UsageError, did_you_mean
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.planning.coverage import Coverage, CoverageRule
from matrix.planning.existence import Unsatisfiable
from matrix.planning.expectations import Check, checks_for
from matrix.planning.page import ClaimPage, pages_by_document
from matrix.probes.registry import load_probes
from matrix.pypi.releases import Release, Releases

# In the order in which a word without a kind is looked up.
_KINDS = (ClaimKind.CAPABILITY, ClaimKind.INTEGRATION, ClaimKind.NOTE, ClaimKind.AUTHENTICATION)
_LIBRARY = "framework"
ERA = "era"
"""In place of a framework's version: the newest of each tracer release's time."""


@dataclasses.dataclass(frozen=True)
class SearchSubject:
    """The subject of a search; `claims` are all that promise it.

    `of_library` is set where the releases that are searched are those of the framework or library
    `name`, under one release of the tracer.
    """

    kind: ClaimKind
    name: str
    rule: CoverageRule
    claims: tuple[Claim, ...]
    of_library: bool = False

    def __str__(self) -> str:
        return f"{_LIBRARY if self.of_library else self.kind.value} {self.name}"


def parse_subject(word: str, claims: Sequence[Claim], coverage: Coverage) -> SearchSubject:
    """Return the subject of a word: a capability, an integration, a note, or `framework:<name>`.

    `<kind>:<name>` selects a kind where several subjects have one name. Raises UsageError.
    """
    prefix, _, name = word.rpartition(":")
    of_library = prefix == _LIBRARY
    kinds = [kind for kind in _KINDS if prefix in ("", kind.value)]
    for kind in [ClaimKind.INTEGRATION] if of_library else kinds:
        rule = coverage.rules.get((kind.value, name))
        if rule is None:
            continue
        if of_library and rule.app:
            raise UsageError(f"there is no sample app for {name}", _list_subjects(coverage))
        about = tuple(claim for claim in claims if claim.kind is kind and claim.subject == name)
        return SearchSubject(kind, name, rule, about, of_library)
    raise _unknown_subject(word, prefix, name, claims, coverage)


def checks_about(
    subject: SearchSubject, claims: Sequence[Claim], tracer: Releases, coverage: Coverage
) -> list[tuple[Check, ClaimPage]]:
    """Return the checks of the claims about a subject with their pages, lowest minimum first."""
    pages = pages_by_document(claims)
    checks = [
        (check, page)
        for claim in subject.claims
        for page in [pages[claim.document, claim.sha256]]
        for check in checks_for(claim, subject.rule, page, tracer, coverage)
        if isinstance(check, Check)
    ]
    # A denial is checked on the page's newest releases; promises of other pages come first.
    return sorted(
        checks,
        key=lambda item: (
            item[0].claim.status is Status.NOT_SUPPORTED,
            item[0].boundary.minimum.version,
        ),
    )


def select_channels(rule: CoverageRule, names: Sequence[str]) -> tuple[str, ...]:
    """Return the channels with these names, without names all that the promise is about.

    Raises UsageError for one that the probe does not have.
    """
    if not names:
        return rule.channels
    channels = [channel.name for channel in load_probes()[rule.probe].channels]
    for name in names:
        if name not in channels:
            raise UsageError(
                f"{rule.probe} has no channel {name!r}{did_you_mean(name, channels)}",
                f"Channels: {', '.join(channels)}.",
            )
    return tuple(name for name in channels if name in names)


def searched_probes(probes: Mapping[str, Probe], plans: Sequence[SearchPlan]) -> dict[str, Probe]:
    """Return the probes with the channels that are searched as claimed ones: cells run them."""
    searched = dict(probes)
    for plan in plans:
        probe = searched[plan.probe]
        channels = tuple(
            dataclasses.replace(channel, claimed=channel.claimed or channel.name in plan.channels)
            for channel in probe.channels
        )
        searched[plan.probe] = dataclasses.replace(probe, channels=channels)
    return searched


def _unknown_subject(
    word: str, prefix: str, name: str, claims: Sequence[Claim], coverage: Coverage
) -> UsageError:
    """Return the error for a subject without a probe, or one that does not exist."""
    kinds = [kind.value for kind in _KINDS]
    if prefix and prefix not in {*kinds, _LIBRARY}:
        return UsageError(
            f"unknown kind of subject {prefix!r}{did_you_mean(prefix, [*kinds, _LIBRARY])}",
            f"Kinds: {', '.join([*kinds, _LIBRARY])}.",
        )
    subjects = sorted({subject for kind, subject in coverage.rules if kind in kinds})
    promised = {claim.subject: claim for claim in claims if claim.kind in _KINDS}
    if name in promised:
        rule = coverage.rule(promised[name])
        reason = f" ({rule.value})" if isinstance(rule, Reason) else ""
        return UsageError(
            f"there is no experiment for {name!r}{reason}, so no release can be tested",
            _list_subjects(coverage),
        )
    return UsageError(
        f"unknown subject {word!r}: no capability, integration or note has this name"
        f"{did_you_mean(name, [*subjects, *promised])}",
        _list_subjects(coverage),
    )


def _list_subjects(coverage: Coverage) -> str:
    names = dict.fromkeys(
        subject for each in _KINDS for kind, subject in coverage.rules if kind == each.value
    )
    return f"There is: {', '.join(names)}; and framework:NAME for the releases of a framework."


@dataclasses.dataclass(frozen=True)
class SearchOptions:
    """The options of the user; the rest follows from the documents.

    `framework` is a name or `name==version`, where `era` stands for the version of each release's
    time, also without a name; `since` and `until` are the ends of the releases that
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

    @property
    def framework_name(self) -> str:
        """Return the name of the framework, "" for all that are promised."""
        return "" if self.framework == ERA else self.framework.partition("==")[0]

    @property
    def framework_version(self) -> str:
        """Return the version of the framework, `ERA`, or "" where it is to be chosen."""
        return ERA if self.framework == ERA else self.framework.partition("==")[2]


@dataclasses.dataclass(frozen=True)
class DocumentedMinimum:
    """The minimum that one document names; `minimum` is the first release in its specifier."""

    claim: str
    document: str
    line: int
    as_written: str
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
    claims that it is not supported. `unpromised` are channels that no claim is about, such as those
    with an experimental switch. `remarks` say how the framework was chosen; `alternatives` are
    the same search on other releases of it, with which more releases of the tracer may start.
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
    alternatives: tuple[SearchPlan, ...] = ()
    unpromised: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """Return the subject and the environment of the search in a few words."""
        under = f"on {self.framework}" if self.framework else f"under ddtrace {self.ddtrace}"
        return f"{self.subject} {under}, CPython {self.python}, {self.target}"

    @property
    def deselected(self) -> frozenset[str]:
        """Return the releases that the options exclude."""
        return frozenset(
            release
            for skipped in self.skipped
            if skipped.reason is Reason.NOT_SELECTED
            for release in skipped.releases
        )

    @property
    def documented(self) -> str | None:
        """Return the lowest of the documented minimums."""
        return min((promise.minimum for promise in self.promises), key=Version, default=None)


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
