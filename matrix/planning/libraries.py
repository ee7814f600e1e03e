"""Which release of a library is meant, and on which CPythons it runs.

A release's own `Requires-Python` says it, and without one the tags of its wheels. Neither gives an
upper end that old releases keep to, and releases from before both have none: what the library's
module names then (PYTHON) was seen.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from packaging.version import Version

from matrix.integrations import Integration
from matrix.model.index import Release
from matrix.model.reason import Reason
from matrix.planning.existence import Impossible
from matrix.planning.shelf import Shelf, Title

__all__ = ["Library", "library_runs", "runs_of_standard_library"]


def library_runs(integration: Integration, title: Title, python: str) -> Impossible | None:
    """Return why a release does not run on a CPython, None where it does."""
    said = f"{integration.slug} {title.text}"
    requires = {file.requires_python for file in title.release.files if not file.yanked}
    if not title.requires(python):
        named = title.release.requires_python or "(see files)"
        return Impossible(Reason.FRAMEWORK_PYTHON, f"{said} requires Python {named}")
    pythons = integration.named_pythons(title.text)
    if pythons is not None:
        if not pythons.contains(python, prereleases=True):
            detail = f"{said} does not run on CPython {python}, only on {pythons}"
            return Impossible(Reason.FRAMEWORK_PYTHON, detail)
    elif not any(requires) and title.tagged(python) is False:
        return Impossible(Reason.FRAMEWORK_PYTHON, f"{said} has no wheel for CPython {python}")
    return None


def runs_of_standard_library(
    integration: Integration, python: str, era: dt.datetime
) -> Title | Impossible:
    """Return the standard library of a CPython as a release of the interpreter's version."""
    named = integration.named_pythons(python)
    if named is not None and not named.contains(python, prereleases=True):
        return Impossible(
            Reason.FRAMEWORK_PYTHON, f"{integration.slug} is a part of CPython {named}"
        )
    release = Release(python, era, yanked=False, requires_python="", files=())
    return Title(release, Version(python), era)


@dataclasses.dataclass(frozen=True)
class Library:
    """The releases of one library in a promised range, known at the time of a tracer's release."""

    integration: Integration
    titles: Sequence[Title]

    @classmethod
    def of(
        cls, integration: Integration, shelf: Shelf, specifier: str, era: dt.datetime
    ) -> Library | Impossible:
        """Return the releases before `era`; why there is none otherwise."""
        titles = shelf.within(specifier)
        known = [title for title in titles if title.uploaded < era]
        if known:
            return cls(integration, known)
        said = f"{shelf.name} {specifier}".strip()
        if titles:
            detail = (
                f"the first of {said} is of {titles[0].uploaded:%Y-%m-%d}, the tracer's release"
            )
            return Impossible(Reason.FRAMEWORK_ERA, f"{detail} of {era:%Y-%m-%d}")
        return Impossible(Reason.NO_RELEASE, f"no release of {said}{shelf.said_until}")

    def lowest(self, python: str) -> Title | Impossible:
        """Return the documented minimum, if it runs on the CPython."""
        title = self.titles[0]
        return library_runs(self.integration, title, python) or title

    def newest(self, python: str) -> Title | Impossible:
        """Return the newest that runs on the CPython."""
        for title in reversed(self.titles):
            if library_runs(self.integration, title, python) is None:
                return title
        why = library_runs(self.integration, self.titles[-1], python)
        return why or self.titles[-1]

    def lowest_anywhere(self, pythons: Iterable[str]) -> Mapping[str, Title]:
        """Return the lowest release that runs on any of the CPythons, by those that it runs on."""
        given = tuple(pythons)
        for title in self.titles:
            fitting = [
                each for each in given if library_runs(self.integration, title, each) is None
            ]
            if fitting:
                return dict.fromkeys(fitting, title)
        return {}

    def others(self, title: Title, python: str) -> list[Title]:
        """Return what a release is compared with: the newest of each major, and the minimum."""
        fitting = [t for t in self.titles if library_runs(self.integration, t, python) is None]
        majors = {each.version.major: each for each in fitting}
        least = [each for each in self.titles[:1] if each in fitting]
        chosen = {each.text: each for each in [*reversed(majors.values()), *least]}
        chosen.pop(title.text, None)
        return list(chosen.values())
