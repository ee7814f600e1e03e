"""Releases that exist and run on a CPython, and obstacles: reasons why one does not.

Of the library of an integration row, a release's own `Requires-Python` decides, and without one the
tags of its wheels. Neither gives an upper bound that old releases keep to, and very old releases
have neither: for them the library's module declares the CPythons on which they were seen to run
(PYTHON).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from packaging.version import Version

from matrix.model.index import ReleaseFiles
from matrix.model.reason import Reason
from matrix.probes.declarations import Integration
from matrix.probes.shops import load_shops
from matrix.pypi.releases import Release, Releases, later_than, specifier_allows
from matrix.system.files import read_data

# The most later releases that are tried where the minimum does not build or start.
_MOST_FALLBACKS = 15


@dataclasses.dataclass(frozen=True)
class Unsatisfiable:
    """The reason why something cannot exist."""

    reason: Reason
    detail: str


def tracer_obstacle(release: Release, python: str, target: str) -> Unsatisfiable | None:
    """Return why a tracer release cannot be installed from a wheel, None where it can."""
    if release.has_wheel(python, target):
        return None
    tracer = f"ddtrace {release.text}"
    if not release.accepts_python(python):
        requires = release.release.requires_python
        return Unsatisfiable(Reason.REQUIRES_PYTHON, f"{tracer} requires Python {requires}")
    if not release.has_target(target):
        return Unsatisfiable(Reason.NO_WHEEL, f"{tracer} has no wheel for {target}")
    return Unsatisfiable(Reason.NO_WHEEL, f"{tracer} has no wheel for CPython {python} on {target}")


def framework_obstacle(
    name: str, release: Release, python: str, data: Mapping[str, Any] | None = None
) -> Unsatisfiable | None:
    """Return why a framework's release does not run on a CPython, None where it does."""
    framework = f"{name} {release.text}"
    if (shop := load_shops().get(name)) and shop.row:
        return LibraryObstacles(shop.row).of(release, python)
    if not release.accepts_python(python):
        requires = release.release.requires_python or "(see files)"
        return Unsatisfiable(Reason.FRAMEWORK_PYTHON, f"{framework} requires Python {requires}")
    known = (read_data("frameworks") if data is None else data).get(name, {})
    for series in known.get("series", ()):
        if not specifier_allows(series["versions"], release.text):
            continue
        since = series.get("later", {}).get(python)
        if python in series["python"] or (since and specifier_allows(since, release.text)):
            return None
        return Unsatisfiable(
            Reason.FRAMEWORK_PYTHON, f"{framework} does not run on CPython {python}"
        )
    return None


@dataclasses.dataclass(frozen=True, eq=False)
class LibraryObstacles:
    """Obstacles of the releases of a library on CPythons; each is found out once."""

    integration: Integration
    _found: dict[tuple[Release, str], Unsatisfiable | None] = dataclasses.field(
        default_factory=dict
    )
    _named: dict[Release, str | None] = dataclasses.field(default_factory=dict)

    def of(self, release: Release, python: str) -> Unsatisfiable | None:
        """Return why a release does not run on the CPython, None where it does."""
        key = (release, python)
        if key not in self._found:
            self._found[key] = self._find(release, python)
        return self._found[key]

    def _find(self, release: Release, python: str) -> Unsatisfiable | None:
        if not release.accepts_python(python):
            required = release.release.requires_python or "(see files)"
            detail = f"requires Python {required}"
        elif (named := self._named_pythons(release)) is not None:
            if specifier_allows(named, python):
                return None
            detail = f"does not run on CPython {python}, only on {named}"
        elif not any(release.required_pythons) and release.is_tagged_for(python) is False:
            detail = f"has no wheel for CPython {python}"
        else:
            return None
        subject = f"{self.integration.slug} {release.text}"
        return Unsatisfiable(Reason.FRAMEWORK_PYTHON, f"{subject} {detail}")

    def _named_pythons(self, release: Release) -> str | None:
        """Return the CPythons that are declared for a release, None where none are."""
        if release not in self._named:
            pythons = self.integration.named_pythons(release.version)
            self._named[release] = None if pythons is None else str(pythons)
        return self._named[release]


def lowest_usable(
    project: Releases, specifier: str, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the documented minimum: the lowest release in the specifier, if it can be used.

    A release that is not older than `era` does not count: a tracer cannot know what came later.
    """
    releases = project.matching(specifier)
    if not releases:
        return _no_release(project, specifier)
    lowest = releases[0]
    if lowest.uploaded >= era:
        return _too_new(project, lowest, era)
    return framework_obstacle(project.name, lowest, python) or lowest


def newest_usable(
    project: Releases, specifier: str, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the newest release in the specifier that this CPython and the era allow."""
    releases = project.matching(specifier)
    if not releases:
        return _no_release(project, specifier)
    in_era = [release for release in releases if release.uploaded < era]
    if not in_era:
        return _too_new(project, releases[0], era)
    for release in reversed(in_era):
        if framework_obstacle(project.name, release, python) is None:
            return release
    requirement = f"{project.name} {specifier}".strip()
    return Unsatisfiable(
        Reason.FRAMEWORK_PYTHON, f"no release of {requirement} up to {era:%Y-%m-%d} runs on it"
    )


def tested_release(project: Releases, specifier: str, python: str) -> Release | Unsatisfiable:
    """Return the release in the specifier that the vendor's own tests cover on a CPython.

    It may be younger than the tracer, and what our data say of its CPythons does not count: only
    its own Requires-Python does.
    """
    releases = project.matching(specifier)
    if not releases:
        return _no_release(project, specifier)
    release = releases[-1]
    if release.accepts_python(python):
        return release
    requires = release.release.requires_python or "(see files)"
    return Unsatisfiable(
        Reason.FRAMEWORK_PYTHON, f"{project.name} {release.text} requires Python {requires}"
    )


def _no_release(project: Releases, specifier: str) -> Unsatisfiable:
    condition = f" is {specifier}" if specifier else ""
    return Unsatisfiable(
        Reason.NO_RELEASE, f"no release of {project.name}{project.until_note}{condition}"
    )


def _too_new(project: Releases, release: Release, era: dt.datetime) -> Unsatisfiable:
    return Unsatisfiable(
        Reason.FRAMEWORK_ERA,
        f"{project.name} {release.text} was released on {release.uploaded:%Y-%m-%d},"
        f" the tracer on {era:%Y-%m-%d}",
    )


def standard_library_release(
    integration: Integration, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the standard library of a CPython as a release with the interpreter's version."""
    named = integration.named_pythons(python)
    if named is not None and not named.contains(python, prereleases=True):
        return Unsatisfiable(
            Reason.FRAMEWORK_PYTHON, f"{integration.slug} is a part of CPython {named}"
        )
    release = ReleaseFiles(python, era, yanked=False, requires_python="", files=())
    return Release(release, Version(python), era)


@dataclasses.dataclass(frozen=True, eq=False)
class LibraryReleases:
    """The releases of a library in a promised range that are older than a tracer's release.

    `below` are those below the range, `above` those above its upper end, of that time too.
    """

    obstacles: LibraryObstacles
    releases: Sequence[Release]
    below: Sequence[Release] = ()
    above: Sequence[Release] = ()
    _compared: dict[str, Sequence[Release]] = dataclasses.field(default_factory=dict)
    _newest: dict[str, Release | Unsatisfiable] = dataclasses.field(default_factory=dict)
    _later: dict[tuple[Release, str], Sequence[Release]] = dataclasses.field(default_factory=dict)

    @classmethod
    def in_range(
        cls, obstacles: LibraryObstacles, project: Releases, specifier: str, era: dt.datetime
    ) -> LibraryReleases | Unsatisfiable:
        """Return the releases before `era`, or why there is none."""
        matching = project.matching(specifier)
        in_era = [release for release in matching if release.uploaded < era]
        if in_era:
            all_in_era = [release for release in project.all if release.uploaded < era]
            below = [item for item in all_in_era if item.version < matching[0].version]
            above = [item for item in all_in_era if item.version > matching[-1].version]
            return cls(obstacles, in_era, below, above)
        requirement = f"{project.name} {specifier}".strip()
        if matching:
            return Unsatisfiable(
                Reason.FRAMEWORK_ERA,
                f"the first of {requirement} was released on {matching[0].uploaded:%Y-%m-%d},"
                f" the tracer on {era:%Y-%m-%d}",
            )
        detail = f"no release of {requirement}{project.until_note}"
        return Unsatisfiable(Reason.NO_RELEASE, detail)

    def lowest(self, python: str) -> Release | Unsatisfiable:
        """Return the documented minimum, if it runs on the CPython."""
        return self._obstacle(self.releases[0], python)

    def newest(self, python: str) -> Release | Unsatisfiable:
        """Return the newest release that runs on the CPython."""
        if python not in self._newest:
            running = (item for item in reversed(self.releases) if self.runs(item, python))
            self._newest[python] = next(running, None) or self._obstacle(self.releases[-1], python)
        return self._newest[python]

    def lowest_on_any(self, pythons: Sequence[str]) -> Mapping[str, Release]:
        """Return the lowest release that runs on any of the CPythons, by those it runs on."""
        for release in self.releases:
            if runnable := [python for python in pythons if self.runs(release, python)]:
                return dict.fromkeys(runnable, release)
        return {}

    def comparisons(self, release: Release, python: str) -> list[Release]:
        """Return the releases to compare one with: the newest of each major, and the minimum."""
        if python not in self._compared:
            newest: dict[int, Release] = {}
            for item in reversed(self.releases):
                if item.major not in newest and self.runs(item, python):
                    newest[item.major] = item
            minimum = [item for item in self.releases[:1] if self.runs(item, python)]
            chosen = {item.text: item for item in [*newest.values(), *minimum]}
            self._compared[python] = tuple(chosen.values())
        return [item for item in self._compared[python] if item.text != release.text]

    def missing_majors(
        self, done: Iterable[Release], pythons: Sequence[str]
    ) -> Iterator[tuple[str, Release]]:
        """Yield the newest release of each major that none of `done` is of, with a CPython.

        That is one of `pythons`: the newest that existed when the release came out. A release was
        not made for later ones, and says so only where it has an upper bound.
        """
        done_majors = {release.major for release in done}
        for major in dict.fromkeys(release.major for release in self.releases):
            if major in done_majors:
                continue
            for release in reversed(self.releases):
                if release.major == major:
                    runnable = [python for python in pythons if self.runs(release, python)]
                    if runnable:
                        yield _contemporary_python(release, runnable), release
                        break

    def before(self, release: Release, python: str) -> Release | None:
        """Return the release before the documented minimum, where it runs on the CPython."""
        if release is not self.releases[0] or not self.below:
            return None
        return self.below[-1] if self.runs(self.below[-1], python) else None

    def beyond(self, python: str) -> Release | None:
        """Return the first release above the range's upper end, where it runs on the CPython."""
        return self.above[0] if self.above and self.runs(self.above[0], python) else None

    def fallback_versions(self, minimum: Release, python: str) -> Sequence[Release]:
        """Return the releases to try where the minimum does not build or start on the CPython.

        Ascending: the one after it, the first of each minor series and the newest; of many, a
        sample.
        """
        key = (minimum, python)
        if key not in self._later:
            self._later[key] = self._choose_later(minimum, python)
        return self._later[key]

    def _choose_later(self, minimum: Release, python: str) -> Sequence[Release]:
        later = later_than(self.releases, minimum.version)
        series: dict[tuple[int, int], Release] = {}
        for release in later:
            # The first that runs of all is that of its series too.
            if release.minor not in series and self.runs(release, python):
                series[release.minor] = release
        newest = next((item for item in reversed(later) if self.runs(item, python)), None)
        ascending = list(dict.fromkeys([*series.values(), *([newest] if newest else [])]))
        if len(ascending) <= _MOST_FALLBACKS:
            return ascending
        last, steps = len(ascending) - 1, _MOST_FALLBACKS - 1
        return [ascending[round(step * last / steps)] for step in range(_MOST_FALLBACKS)]

    def _obstacle(self, release: Release, python: str) -> Release | Unsatisfiable:
        return self.obstacles.of(release, python) or release

    def runs(self, release: Release, python: str) -> bool:
        """Return whether a release runs on the CPython."""
        return self.obstacles.of(release, python) is None


def _contemporary_python(release: Release, pythons: Sequence[str]) -> str:
    """Return the newest of the CPythons (ascending) that existed then, the oldest where none."""
    uploaded = release.uploaded.date()
    first_releases = read_data("pythons")
    older = [
        python
        for python in pythons
        if python in first_releases and first_releases[python] <= uploaded
    ]
    return older[-1] if older else pythons[0]
