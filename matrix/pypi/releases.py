"""Releases of a project as planning uses them: final, not yanked, ascending, with their wheels."""

from __future__ import annotations

import bisect
import dataclasses
import datetime as dt
import functools
import operator
from collections.abc import Sequence

from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version

from matrix.interpreters.targets import wheel_fits
from matrix.model.index import File, Project, ReleaseFiles
from matrix.pypi.tags import supports_python

LONG_AGO = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
"""The upload time of a release whose index gives none, where only its existence counts."""
_END_OF_DAY = dt.timedelta(days=1, microseconds=-1)


def end_of_day(day: dt.date | None) -> dt.datetime | None:
    """Return the last moment of a day in UTC, None for no day."""
    if day is None:
        return None
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.timezone.utc) + _END_OF_DAY


def existed(uploaded: dt.datetime | None, moment: dt.datetime) -> bool:
    """Return whether a file was uploaded before a moment.

    Where the index gives no upload time that is known only of a moment that lies ahead.
    """
    return is_ahead(moment) if uploaded is None else uploaded < moment


def is_ahead(moment: dt.datetime) -> bool:
    """Return whether a moment lies ahead, so that all that an index lists existed by then."""
    return moment > dt.datetime.now(tz=dt.timezone.utc)


@functools.cache
def python_key(python: str) -> tuple[int, ...]:
    """Return a key that orders `3.9` before `3.10`."""
    return tuple(int(part) for part in python.split("."))


@functools.lru_cache(maxsize=4096)
def _parse_specifiers(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def is_specifier(text: str) -> bool:
    """Return whether the text is a specifier set; an empty one is."""
    return _parse_specifiers(text) is not None


def lowest_named(specifier: str) -> Version | None:
    """Return the lowest release that the specifier names (`>=1.9.0`), None if it names none."""
    named = [
        Version(clause.version)
        for clause in _parse_specifiers(specifier) or ()
        if clause.operator in (">=", "==", "~=") and not clause.version.endswith(".*")
    ]
    return max(named, default=None)


@functools.lru_cache(maxsize=65536)
def specifier_allows(specifier: str, version: str) -> bool:
    """Return whether `version` is in the specifier set; an invalid set excludes nothing.

    Metadata of old releases has `Requires-Python` values that were never valid, and installers
    ignore those. An interpreter given as `major.minor` stands for its later patches.
    """
    parsed = _parse_specifiers(specifier)
    return parsed is None or parsed.contains(version, prereleases=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Release:
    """One release of `Releases`; `uploaded` may be `LONG_AGO`."""

    release: ReleaseFiles
    version: Version
    uploaded: dt.datetime
    _has_wheel: dict[tuple[str, str], bool] = dataclasses.field(default_factory=dict, repr=False)
    _has_target: dict[str, bool] = dataclasses.field(default_factory=dict, repr=False)
    _pythons: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def text(self) -> str:
        """Return the index's spelling of the version."""
        return self.release.version

    @property
    def final_text(self) -> str:
        """Return the version that a document's specifier is compared with.

        For a pre-release that is the final release that it precedes, as documents only name those.
        """
        return self.version.base_version if self.version.is_prerelease else self.text

    @functools.cached_property
    def major(self) -> int:
        """Return the major series."""
        return self.version.major

    @functools.cached_property
    def minor(self) -> tuple[int, int]:
        """Return the minor series, such as (1, 9)."""
        return (self.version.major, self.version.minor)

    @functools.cached_property
    def _wheels(self) -> tuple[tuple[str, str, str, str], ...]:
        """Return the distinct (interpreter tags, ABI tags, platform tags, Requires-Python)."""
        wheels = set()
        for file in self.release.files:
            if file.tags and not file.yanked:
                interpreter, abi, platform = file.tags.split("-")
                wheels.add((interpreter, abi, platform, file.requires_python))
        return tuple(sorted(wheels))

    def has_wheel(self, python: str, target: str) -> bool:
        """Return whether a wheel of the release installs on this CPython and target."""
        if (python, target) not in self._has_wheel:
            self._has_wheel[python, target] = any(
                supports_python(interpreter, abi, python)
                and wheel_fits(platform, target)
                and specifier_allows(requires, _newest_patch(python))
                for interpreter, abi, platform, requires in self._wheels
            )
        return self._has_wheel[python, target]

    def wheels_for(self, python: str, target: str) -> tuple[File, ...]:
        """Return the wheels of the release that install on this CPython and target."""
        found = []
        for file in self.release.files:
            if file.tags and not file.yanked:
                interpreter, abi, platform = file.tags.split("-")
                if (
                    supports_python(interpreter, abi, python)
                    and wheel_fits(platform, target)
                    and specifier_allows(file.requires_python, _newest_patch(python))
                ):
                    found.append(file)
        return tuple(found)

    def is_tagged_for(self, python: str) -> bool | None:
        """Return whether a wheel is tagged for this CPython, on any target; None without wheels."""
        if not self._wheels:
            return None
        return any(supports_python(wheel[0], wheel[1], python) for wheel in self._wheels)

    def has_target(self, target: str) -> bool:
        """Return whether any wheel of the release is for `target`."""
        if target not in self._has_target:
            self._has_target[target] = any(
                wheel_fits(platform, target) for _, _, platform, _ in self._wheels
            )
        return self._has_target[target]

    def pythons(self, target: str) -> tuple[str, ...]:
        """Return the CPythons that the release has version-specific wheels for, ascending."""
        if target not in self._pythons:
            tags = {tag for wheel in self._wheels for tag in wheel[0].split(".")}
            tagged = {f"{tag[2]}.{tag[3:]}" for tag in tags if tag.startswith("cp") and tag[3:]}
            installable = (python for python in tagged if self.has_wheel(python, target))
            self._pythons[target] = tuple(sorted(installable, key=python_key))
        return self._pythons[target]

    def accepts_python(self, python: str) -> bool:
        """Return whether the release's own Requires-Python allows this CPython."""
        return _accepts(self.required_pythons, python)

    @functools.cached_property
    def required_pythons(self) -> frozenset[str]:
        """The distinct Requires-Python of its files, "" for a file that has none."""
        if self.release.requires_python and not self.release.yanked:
            # All files say the same, so they need not be parsed.
            return frozenset({self.release.requires_python})
        files = self.release.files
        return frozenset(file.requires_python for file in files if not file.yanked)


def later_than(releases: Sequence[Release], version: Version) -> Sequence[Release]:
    """Return those of the releases, which are ascending, that are later than a version."""
    return releases[bisect.bisect_right(releases, version, key=operator.attrgetter("version")) :]


def _in_clause(releases: tuple[Release, ...], clause: Specifier) -> tuple[Release, ...]:
    """Return those of ascending releases that are in one clause of a specifier."""

    def contains(release: Release) -> bool:
        return clause.contains(release.version, prereleases=True)

    # A bound holds for all releases on one side of it, so it is looked for by bisection.
    if clause.operator in (">=", ">"):
        return releases[bisect.bisect_left(releases, True, key=contains) :]  # noqa: FBT003
    if clause.operator in ("<", "<="):
        beyond = bisect.bisect_left(releases, True, key=lambda item: not contains(item))  # noqa: FBT003
        return releases[:beyond]
    return tuple(release for release in releases if contains(release))


class Releases:
    """Final releases of one project in `all`, ascending; `until` hides what was uploaded later.

    Those without an upload time count only where `until` lies ahead, as of `LONG_AGO`; `undated` is
    whether there are some and no others, which `until_note` (` up to 2024-01-31`, or empty) then
    says. `candidate` is the one release under test, which
    may be a pre-release or yanked; None where documents name the releases. With `pre` the newest
    pre-release is one of them where it is newer than every final release.
    """

    def __init__(
        self,
        project: Project,
        until: dt.datetime | None = None,
        candidate: str = "",
        *,
        pre: bool = False,
    ) -> None:
        self.name = project.name
        self.fetched = project.fetched
        self.until_note = f" up to {until:%Y-%m-%d}" if until else ""
        self.candidate: Release | None = None
        releases = []
        dated = any(release.uploaded for release in project.releases)
        self.undated = bool(project.releases) and not dated and not (until and is_ahead(until))
        if self.undated:
            self.until_note = f" with an upload time, as the index gives none of {self.name}"
        for release in project.releases:
            uploaded = release.uploaded
            if uploaded is None and until is not None and is_ahead(until):
                uploaded = LONG_AGO
            if uploaded is None:
                continue
            version = Version(release.version)
            late = until is not None and uploaded > until
            if candidate and version == Version(candidate):
                self.candidate = Release(release, version, uploaded)
                releases.append(self.candidate)
            elif not (release.yanked or late or (version.is_prerelease and not pre)):
                releases.append(Release(release, version, uploaded))
        if pre:
            newest = {*releases[-1:], self.candidate}
            releases = [
                item for item in releases if item in newest or not item.version.is_prerelease
            ]
        self.all: tuple[Release, ...] = tuple(releases)
        self._matching: dict[tuple[str, ...], tuple[Release, ...]] = {}

    def matching(self, *specifiers: str) -> Sequence[Release]:
        """Return the releases that are in all of `specifiers`, ascending."""
        if specifiers not in self._matching:
            self._matching[specifiers] = self._match(*specifiers)
        return self._matching[specifiers]

    def _match(self, first: str = "", *others: str) -> tuple[Release, ...]:
        if others:
            # Each specifier is evaluated once; there are many more combinations.
            promised = set(self.matching(*others))
            return tuple(release for release in self.matching(first) if release in promised)
        matching = self.all
        for clause in _parse_specifiers(first) or ():
            matching = _in_clause(matching, clause)
        return matching


@functools.lru_cache(maxsize=4096)
def _accepts(required: frozenset[str], python: str) -> bool:
    """Return whether any of the different Requires-Python of a release allows a CPython."""
    version = _newest_patch(python)
    return not required or any(specifier_allows(text, version) for text in required)


def _newest_patch(python: str) -> str:
    """Return a version above all patches: `>=3.6.2` and `!=3.5.0` are about patches."""
    return f"{python}.99"
