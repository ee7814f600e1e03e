"""Releases of the library of an integration row, and the CPythons that each of them runs on.

A release's own `Requires-Python` decides, and without one the tags of its wheels. Neither gives an
upper bound that old releases keep to, and very old releases have neither: for them the library's
module declares the CPythons on which they were seen to run (PYTHON).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.version import Version

from matrix.model.index import ReleaseFiles
from matrix.model.reason import Reason
from matrix.planning.existence import Unsatisfiable
from matrix.probes.integrations import Integration
from matrix.pypi.releases import Release, Releases
from matrix.system.data_files import read_data

# The most later releases that are tried where the minimum does not build or start.
_MOST_FALLBACKS = 15


def library_obstacle(
    integration: Integration, release: Release, python: str
) -> Unsatisfiable | None:
    """Return why a release does not run on a CPython, None where it does."""
    library = f"{integration.slug} {release.text}"
    requires = {file.requires_python for file in release.release.files if not file.yanked}
    pythons = integration.named_pythons(release.text)
    if not release.accepts_python(python):
        named = release.release.requires_python or "(see files)"
        detail = f"{library} requires Python {named}"
    elif pythons is not None:
        if pythons.contains(python, prereleases=True):
            return None
        detail = f"{library} does not run on CPython {python}, only on {pythons}"
    elif not any(requires) and release.is_tagged_for(python) is False:
        detail = f"{library} has no wheel for CPython {python}"
    else:
        return None
    return Unsatisfiable(Reason.FRAMEWORK_PYTHON, detail)


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

    integration: Integration
    releases: Sequence[Release]
    below: Sequence[Release] = ()
    above: Sequence[Release] = ()
    _obstacles: dict[tuple[str, str], Unsatisfiable | None] = dataclasses.field(
        default_factory=dict
    )

    @classmethod
    def in_range(
        cls, integration: Integration, project: Releases, specifier: str, era: dt.datetime
    ) -> LibraryReleases | Unsatisfiable:
        """Return the releases before `era`, or why there is none."""
        matching = project.matching(specifier)
        in_era = [release for release in matching if release.uploaded < era]
        if in_era:
            all_in_era = [release for release in project.all if release.uploaded < era]
            below = [item for item in all_in_era if item.version < matching[0].version]
            above = [item for item in all_in_era if item.version > matching[-1].version]
            return cls(integration, in_era, below, above)
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
        return self._obstacle(self.releases[0], python) or self.releases[0]

    def newest(self, python: str) -> Release | Unsatisfiable:
        """Return the newest release that runs on the CPython."""
        for release in reversed(self.releases):
            if self.runs(release, python):
                return release
        return self._obstacle(self.releases[-1], python) or self.releases[-1]

    def lowest_on_any(self, pythons: Sequence[str]) -> Mapping[str, Release]:
        """Return the lowest release that runs on any of the CPythons, by those it runs on."""
        for release in self.releases:
            if runnable := [python for python in pythons if self.runs(release, python)]:
                return dict.fromkeys(runnable, release)
        return {}

    def comparisons(self, release: Release, python: str) -> list[Release]:
        """Return the releases to compare one with: the newest of each major, and the minimum."""
        runnable = [item for item in self.releases if self.runs(item, python)]
        majors = {item.version.major: item for item in runnable}
        minimum = [item for item in self.releases[:1] if item in runnable]
        chosen = {item.text: item for item in [*reversed(majors.values()), *minimum]}
        chosen.pop(release.text, None)
        return list(chosen.values())

    def missing_majors(
        self, done: Iterable[Release], pythons: Sequence[str]
    ) -> Iterator[tuple[str, Release]]:
        """Yield the newest release of each major that none of `done` is of, with a CPython.

        That is one of `pythons`: the newest that existed when the release came out. A release was
        not made for later ones, and says so only where it has an upper bound.
        """
        done_majors = {release.version.major for release in done}
        for major in dict.fromkeys(release.version.major for release in self.releases):
            if major in done_majors:
                continue
            for release in reversed(self.releases):
                if release.version.major == major:
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

    def fallback_versions(self, minimum: Release, python: str) -> list[Release]:
        """Return the releases to try where the minimum does not build or start on the CPython.

        Ascending: the one after it, the first of each minor series and the newest; of many, a
        sample.
        """
        later = [
            release
            for release in self.releases
            if release.version > minimum.version and self.runs(release, python)
        ]
        series = {release.minor: release for release in reversed(later)}
        chosen = dict.fromkeys([*later[:1], *reversed(series.values()), *later[-1:]])
        ascending = sorted(chosen, key=lambda release: release.version)
        if len(ascending) <= _MOST_FALLBACKS:
            return ascending
        last, steps = len(ascending) - 1, _MOST_FALLBACKS - 1
        return [ascending[round(step * last / steps)] for step in range(_MOST_FALLBACKS)]

    def runs(self, release: Release, python: str) -> bool:
        """Return whether a release runs on the CPython."""
        return self._obstacle(release, python) is None

    def _obstacle(self, release: Release, python: str) -> Unsatisfiable | None:
        key = (release.text, python)
        if key not in self._obstacles:
            self._obstacles[key] = library_obstacle(self.integration, release, python)
        return self._obstacles[key]


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
