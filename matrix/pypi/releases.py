"""A project's releases as planning sees them: final, not yanked, ascending, with their wheels."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Sequence

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from matrix.interpreters.targets import wheel_fits
from matrix.model.index import Project, ReleaseFiles
from matrix.pypi.tags import runs_on

__all__ = ["Release", "Releases", "allows", "end_of", "is_specifier", "least_named", "python_key"]

_END_OF_DAY = dt.timedelta(days=1, microseconds=-1)


def end_of(day: dt.date | None) -> dt.datetime | None:
    """Return the last moment of a day (UTC): what was uploaded up to then is there."""
    if day is None:
        return None
    return dt.datetime.combine(day, dt.time(), tzinfo=dt.timezone.utc) + _END_OF_DAY


def python_key(python: str) -> tuple[int, ...]:
    """Return a key that orders `3.9` before `3.10`."""
    return tuple(int(part) for part in python.split("."))


@functools.lru_cache(maxsize=4096)
def _specifiers(text: str) -> SpecifierSet | None:
    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None


def is_specifier(text: str) -> bool:
    """Return whether the text is a specifier set; an empty one is."""
    return _specifiers(text) is not None


def least_named(specifier: str) -> Version | None:
    """Return the least release that the specifier names (`>=1.9.0`), None if it names none."""
    named = [
        Version(each.version)
        for each in _specifiers(specifier) or ()
        if each.operator in (">=", "==", "~=") and not each.version.endswith(".*")
    ]
    return max(named, default=None)


@functools.lru_cache(maxsize=65536)
def allows(specifier: str, version: str) -> bool:
    """Return whether `version` is in the specifier set; a set that is none excludes nothing.

    Metadata of old releases holds `Requires-Python` values that were never valid, and installers
    ignore those. An interpreter given as `major.minor` stands for its later patches.
    """
    parsed = _specifiers(specifier)
    return parsed is None or parsed.contains(version, prereleases=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Release:
    """One release on the shelf. `uploaded` is never None: a release without a date has no era."""

    release: ReleaseFiles
    version: Version
    uploaded: dt.datetime

    @property
    def text(self) -> str:
        """Return the index's spelling of the version."""
        return self.release.version

    @property
    def meant(self) -> str:
        """Return the version that a document's specifier is compared with.

        Of a pre-release that is the final release it is to become, of which alone documents speak.
        """
        return self.version.base_version if self.version.is_prerelease else self.text

    @property
    def minor(self) -> tuple[int, int]:
        """Return the minor series, such as (1, 9)."""
        return (self.version.major, self.version.minor)

    @functools.cached_property
    def _wheels(self) -> tuple[tuple[str, str, str, str], ...]:
        found = set()
        for file in self.release.files:
            if file.tags and not file.yanked:
                interpreter, abi, system = file.tags.split("-")
                found.add((interpreter, abi, system, file.requires_python))
        return tuple(sorted(found))

    @functools.cached_property
    def _known(self) -> dict[tuple[str, str], bool]:
        return {}

    @functools.cached_property
    def _pythons(self) -> dict[str, tuple[str, ...]]:
        return {}

    def has_wheel(self, python: str, target: str) -> bool:
        """Return whether a wheel of the release installs on this CPython and target."""
        if (python, target) not in self._known:
            self._known[python, target] = any(
                runs_on(interpreter, abi, python)
                and wheel_fits(system, target)
                and allows(requires, _patched(python))
                for interpreter, abi, system, requires in self._wheels
            )
        return self._known[python, target]

    def tagged(self, python: str) -> bool | None:
        """Return whether a wheel is tagged for this CPython, on any target; None without wheels."""
        if not self._wheels:
            return None
        return any(runs_on(row[0], row[1], python) for row in self._wheels)

    def has_target(self, target: str) -> bool:
        """Return whether any wheel of the release is for `target`."""
        return any(wheel_fits(system, target) for _, _, system, _ in self._wheels)

    def pythons(self, target: str) -> tuple[str, ...]:
        """Return the CPythons that the release has wheels of their own for, ascending."""
        if target not in self._pythons:
            tags = {tag for row in self._wheels for tag in row[0].split(".")}
            named = {f"{tag[2]}.{tag[3:]}" for tag in tags if tag.startswith("cp") and tag[3:]}
            fitting = (python for python in named if self.has_wheel(python, target))
            self._pythons[target] = tuple(sorted(fitting, key=python_key))
        return self._pythons[target]

    def requires(self, python: str) -> bool:
        """Return whether the release's own metadata takes this CPython."""
        says = {file.requires_python for file in self.release.files if not file.yanked}
        return not says or any(allows(each, _patched(python)) for each in says)


class Releases:
    """Final releases of one project, ascending; `until` hides what was uploaded later.

    `said_until` says so: ` up to 2024-01-31`, or nothing. `candidate` is the one release that
    everything is asked of, None where documents say which; it may be a pre-release.
    """

    def __init__(
        self, project: Project, until: dt.datetime | None = None, candidate: str = ""
    ) -> None:
        self.name = project.name
        self.fetched = project.fetched
        self.said_until = f" up to {until:%Y-%m-%d}" if until else ""
        titles = []
        self.candidate: Release | None = None
        for release in project.releases:
            if release.uploaded is None:
                continue
            version = Version(release.version)
            if candidate and version == Version(candidate):
                self.candidate = Release(release, version, release.uploaded)
                titles.append(self.candidate)
            elif release.yanked:
                continue
            elif not version.is_prerelease and (until is None or release.uploaded <= until):
                titles.append(Release(release, version, release.uploaded))
        self.titles: tuple[Release, ...] = tuple(titles)
        self._within: dict[tuple[str, ...], tuple[Release, ...]] = {}

    def within(self, *specifiers: str) -> Sequence[Release]:
        """Return the releases that are in all of `specifiers`, ascending."""
        if specifiers not in self._within:
            wanted = [parsed for text in specifiers if (parsed := _specifiers(text)) is not None]
            self._within[specifiers] = tuple(
                title
                for title in self.titles
                if all(each.contains(title.version, prereleases=True) for each in wanted)
            )
        return self._within[specifiers]


def _patched(python: str) -> str:
    # `>=3.6.2` and `!=3.5.0` are about patches; the newest patch of the minor is what is meant.
    return f"{python}.99"
