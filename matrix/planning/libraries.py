"""Which releases of a library there are for a row, and on which CPythons each runs.

A release's own `Requires-Python` says it, and without one the tags of its wheels. Neither gives an
upper end that old releases keep to, and releases from before both have none: what the library's
module names then (PYTHON) was seen.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.version import Version

from matrix.model.index import ReleaseFiles
from matrix.model.reason import Reason
from matrix.planning.existence import Unsatisfiable
from matrix.probes.declaration import Integration
from matrix.pypi.releases import Release, Releases
from matrix.system.data_files import read_data

__all__ = ["LibraryReleases", "library_runs", "runs_of_standard_library"]

# Of how many later releases those are chosen that are tried where the minimum does not build.
_RUNGS = 15


def library_runs(integration: Integration, title: Release, python: str) -> Unsatisfiable | None:
    """Return why a release does not run on a CPython, None where it does."""
    said = f"{integration.slug} {title.text}"
    requires = {file.requires_python for file in title.release.files if not file.yanked}
    if not title.accepts_python(python):
        named = title.release.requires_python or "(see files)"
        return Unsatisfiable(Reason.FRAMEWORK_PYTHON, f"{said} requires Python {named}")
    pythons = integration.named_pythons(title.text)
    if pythons is not None:
        if not pythons.contains(python, prereleases=True):
            detail = f"{said} does not run on CPython {python}, only on {pythons}"
            return Unsatisfiable(Reason.FRAMEWORK_PYTHON, detail)
    elif not any(requires) and title.is_tagged_for(python) is False:
        return Unsatisfiable(Reason.FRAMEWORK_PYTHON, f"{said} has no wheel for CPython {python}")
    return None


def runs_of_standard_library(
    integration: Integration, python: str, era: dt.datetime
) -> Release | Unsatisfiable:
    """Return the standard library of a CPython as a release of the interpreter's version."""
    named = integration.named_pythons(python)
    if named is not None and not named.contains(python, prereleases=True):
        return Unsatisfiable(
            Reason.FRAMEWORK_PYTHON, f"{integration.slug} is a part of CPython {named}"
        )
    release = ReleaseFiles(python, era, yanked=False, requires_python="", files=())
    return Release(release, Version(python), era)


@dataclasses.dataclass(frozen=True, eq=False)
class LibraryReleases:
    """The releases of one library in a promised range, known at the time of a tracer's release.

    `under` are those below the range, `above` those
    beyond its upper end, of that time too.
    """

    integration: Integration
    titles: Sequence[Release]
    under: Sequence[Release] = ()
    above: Sequence[Release] = ()
    _runs: dict[tuple[str, str], Unsatisfiable | None] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls, integration: Integration, shelf: Releases, specifier: str, era: dt.datetime
    ) -> LibraryReleases | Unsatisfiable:
        """Return the releases before `era`; why there is none otherwise."""
        titles = shelf.matching(specifier)
        known = [title for title in titles if title.uploaded < era]
        if known:
            others = [title for title in shelf.all if title.uploaded < era]
            under = [title for title in others if title.version < titles[0].version]
            above = [title for title in others if title.version > titles[-1].version]
            return cls(integration, known, under, above)
        said = f"{shelf.name} {specifier}".strip()
        if titles:
            detail = (
                f"the first of {said} is of {titles[0].uploaded:%Y-%m-%d}, the tracer's release"
            )
            return Unsatisfiable(Reason.FRAMEWORK_ERA, f"{detail} of {era:%Y-%m-%d}")
        return Unsatisfiable(Reason.NO_RELEASE, f"no release of {said}{shelf.until_note}")

    def lowest(self, python: str) -> Release | Unsatisfiable:
        """Return the documented minimum, if it runs on the CPython."""
        title = self.titles[0]
        return self._refused(title, python) or title

    def newest(self, python: str) -> Release | Unsatisfiable:
        """Return the newest that runs on the CPython."""
        for title in reversed(self.titles):
            if self._refused(title, python) is None:
                return title
        why = self._refused(self.titles[-1], python)
        return why or self.titles[-1]

    def lowest_anywhere(self, pythons: Iterable[str]) -> Mapping[str, Release]:
        """Return the lowest release that runs on any of the CPythons, by those that it runs on."""
        given = tuple(pythons)
        for title in self.titles:
            fitting = [each for each in given if self._refused(title, each) is None]
            if fitting:
                return dict.fromkeys(fitting, title)
        return {}

    def others(self, title: Release, python: str) -> list[Release]:
        """Return what a release is compared with: the newest of each major, and the minimum."""
        fitting = list(self._fitting(self.titles, python))
        majors = {each.version.major: each for each in fitting}
        least = [each for each in self.titles[:1] if each in fitting]
        chosen = {each.text: each for each in [*reversed(majors.values()), *least]}
        chosen.pop(title.text, None)
        return list(chosen.values())

    def between(
        self, done: Iterable[Release], pythons: Sequence[str]
    ) -> Iterator[tuple[str, Release]]:
        """Yield the newest release of each major that none of `done` is of, with a CPython.

        One of `pythons` for each: the newest that was there when the release came out. Later ones
        are not what it was made for, and say so only where it has an upper end.
        """
        majors = {title.version.major for title in done}
        for major in dict.fromkeys(title.version.major for title in self.titles):
            if major in majors:
                continue
            for title in reversed(self.titles):
                if title.version.major == major:
                    fitting = [each for each in pythons if self._refused(title, each) is None]
                    if fitting:
                        yield _of_its_time(title, fitting), title
                        break

    def before(self, title: Release, python: str) -> Release | None:
        """Return the release before the documented minimum, where it runs on the CPython."""
        if title is not self.titles[0] or not self.under:
            return None
        found = self.under[-1]
        return found if self._refused(found, python) is None else None

    def beyond(self, python: str) -> Release | None:
        """Return the first release above a range with an upper end, where it runs there."""
        found = self.above[:1]
        return next((each for each in found if self._refused(each, python) is None), None)

    def rungs(self, title: Release, python: str) -> list[Release]:
        """Return what is tried where a release does not build or start on the CPython: ascending,
        the one after it, the first of each minor series and the newest; of many, some.
        """
        later = [
            each for each in self._fitting(self.titles, python) if each.version > title.version
        ]
        series = {each.minor: each for each in reversed(later)}
        found = dict.fromkeys([*later[:1], *reversed(series.values()), *later[-1:]])
        steps = sorted(found, key=lambda each: each.version)
        if len(steps) <= _RUNGS:
            return steps
        last = len(steps) - 1
        return [steps[round(number * last / (_RUNGS - 1))] for number in range(_RUNGS)]

    def runs(self, title: Release, python: str) -> bool:
        """Return whether a release runs on the CPython."""
        return self._refused(title, python) is None

    def _fitting(self, titles: Iterable[Release], python: str) -> Iterator[Release]:
        return (title for title in titles if self._refused(title, python) is None)

    def _refused(self, title: Release, python: str) -> Unsatisfiable | None:
        key = (title.text, python)
        if key not in self._runs:
            self._runs[key] = library_runs(self.integration, title, python)
        return self._runs[key]


def _of_its_time(title: Release, pythons: Sequence[str]) -> str:
    """Return the newest of the CPythons (ascending) that was there then, the oldest where none."""
    day = title.uploaded.date()
    born = read_data("pythons")
    there = [each for each in pythons if each in born and born[each] <= day]
    return there[-1] if there else pythons[0]
