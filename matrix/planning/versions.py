"""Choose the release of a framework or library that a check is about, on a CPython."""

from __future__ import annotations

import dataclasses
import datetime as dt

from packaging.version import Version

from matrix.errors import IndexUnavailableError, NoUploadTimesError
from matrix.model.claim import TESTED
from matrix.model.index import Project
from matrix.model.reason import Reason
from matrix.planning.boundaries import branch_heads
from matrix.planning.coverage import Coverage
from matrix.planning.existence import (
    LibraryObstacles,
    LibraryReleases,
    Unsatisfiable,
    lowest_usable,
    newest_usable,
    standard_library_release,
    tested_release,
    tracer_obstacle,
)
from matrix.planning.expectations import Check, runtimes_of
from matrix.planning.page import ClaimPage
from matrix.probes.declarations import Integration
from matrix.probes.distributions import NamedDistribution
from matrix.pypi.client import Index
from matrix.pypi.releases import Release, Releases, specifier_allows

TRACER = "ddtrace"


@dataclasses.dataclass
class VersionChoice:
    """The projects read from the index, and the releases chosen; `until` hides later uploads.

    `candidate` is the release of the tracer that every claim is tested on, "" without one. `pre` is
    whether a newer pre-release of the tracer is its newest release.
    """

    index: Index
    coverage: Coverage
    until: dt.datetime | None = None
    candidate: str = ""
    pre: bool = False
    projects: dict[str, Releases] = dataclasses.field(default_factory=dict)
    _joined: dict[tuple[NamedDistribution, ...], Releases] = dataclasses.field(default_factory=dict)
    _chosen: dict[tuple[object, ...], Release | Unsatisfiable] = dataclasses.field(
        default_factory=dict
    )
    _libraries: dict[tuple[object, ...], LibraryReleases | Unsatisfiable] = dataclasses.field(
        default_factory=dict
    )
    _obstacles: dict[tuple[str, str], LibraryObstacles] = dataclasses.field(default_factory=dict)

    def releases(self, name: str) -> Releases:
        """Return the releases of a project; raise `IndexUnavailableError`.

        A tracer without any upload time is one, as no other release can be chosen for it.
        """
        if name not in self.projects:
            candidate = self.candidate if name == TRACER else ""
            pre = self.pre and name == TRACER
            releases = Releases(self.index.project(name), self.until, candidate, pre=pre)
            if name == TRACER and releases.undated:
                raise NoUploadTimesError(name)
            self.projects[name] = releases
        return self.projects[name]

    def integration(self, check: Check) -> Integration:
        """Return the declarations of a library's row, for the distributions that it names."""
        integration = self.coverage.integrations[check.rule.library]
        return integration.only(check.rule.distribution) if check.rule.distribution else integration

    def release(self, check: Check, python: str) -> Release | Unsatisfiable:
        """Return the release of the framework or library for a check on a CPython."""
        if check.pick == TESTED:
            return self._tested_release(check, python)
        if check.rule.library:
            return self._library_release(check, python)
        choose = lowest_usable if check.pick == "lowest" else newest_usable
        era = self._era(check)
        key = (check.framework, check.specifier, check.pick, python, era)
        if key not in self._chosen:
            try:
                project = self.releases(check.framework)
            except IndexUnavailableError as error:
                # One of many projects: the rest of the plan can do without.
                return Unsatisfiable(Reason.INDEX_UNAVAILABLE, error.message)
            self._chosen[key] = choose(project, check.specifier, python, era)
        return self._chosen[key]

    def library(self, check: Check) -> LibraryReleases | Unsatisfiable:
        """Return the library's releases that a check is about."""
        integration, era = self.integration(check), self._era(check)
        if not integration.distributions:
            return Unsatisfiable(Reason.NO_RELEASE, f"{integration.slug} is a part of CPython")
        key = (integration.slug, check.rule.distribution, check.specifier, era)
        if key not in self._libraries:
            try:
                project = self._library_project(integration)
            except IndexUnavailableError as error:
                # One of many projects: the rest of the plan can do without.
                self._libraries[key] = Unsatisfiable(Reason.INDEX_UNAVAILABLE, error.message)
            else:
                obstacles = self._obstacles.setdefault(key[:2], LibraryObstacles(integration))
                self._libraries[key] = LibraryReleases.in_range(
                    obstacles, project, check.specifier, era
                )
        return self._libraries[key]

    def python_obstacle(self, check: Check, python: str) -> Unsatisfiable | None:
        """Return why the row itself excludes a CPython, None where it does not."""
        condition = check.claim.get("automatic_python")
        if condition and not specifier_allows(condition, python):
            return Unsatisfiable(Reason.OUTSIDE_CLAIM, f"the row is about CPython {condition} only")
        return None

    def runs_nowhere(self, check: Check, page: ClaimPage, target: str) -> bool:
        """Return whether the documented minimum runs with no branch of the tracer.

        Only CPythons that it is checked on count; on others nobody would see it run.
        """
        for boundary in branch_heads(self.releases(TRACER), page.branches):
            tracer = boundary.minimum
            library = self.library(dataclasses.replace(check, boundary=boundary))
            pythons = runtimes_of(check.claim, page, tracer, (), target).pythons
            if isinstance(library, LibraryReleases) and any(
                tracer_obstacle(tracer, python, target) is None
                and self.python_obstacle(check, python) is None
                and isinstance(library.lowest(python), Release)
                for python in pythons
            ):
                return False
        return True

    def _library_release(self, check: Check, python: str) -> Release | Unsatisfiable:
        if obstacle := self.python_obstacle(check, python):
            return obstacle
        integration = self.integration(check)
        if not integration.distributions:
            return standard_library_release(integration, python, check.boundary.minimum.uploaded)
        library = self.library(check)
        if isinstance(library, Unsatisfiable):
            return library
        return library.lowest(python) if check.pick == "lowest" else library.newest(python)

    def _tested_release(self, check: Check, python: str) -> Release | Unsatisfiable:
        try:
            if check.rule.library:
                project = self._library_project(self.integration(check))
            else:
                project = self.releases(check.framework)
        except IndexUnavailableError as error:
            return Unsatisfiable(Reason.INDEX_UNAVAILABLE, error.message)
        return tested_release(project, check.specifier, python)

    def _library_project(self, integration: Integration) -> Releases:
        """Return the releases of all distributions of a library; raise `IndexUnavailableError`."""
        names = [item.name for item in integration.distributions]
        if len(names) == 1 and not integration.distributions[0].versions:
            return self.releases(names[0])
        key = integration.distributions
        if key not in self._joined:
            projects = [(item, self.releases(item)) for item in names]
            releases = [
                release.release
                for item, project in projects
                for release in project.all
                if integration.distribution(release.text) == item
            ]
            joined = Project(
                " or ".join(names),
                min(project.fetched for _, project in projects),
                tuple(sorted(releases, key=lambda release: Version(release.version))),
            )
            self._joined[key] = Releases(joined, self.until)
        return self._joined[key]

    def _era(self, check: Check) -> dt.datetime:
        return self.until or check.boundary.minimum.uploaded
