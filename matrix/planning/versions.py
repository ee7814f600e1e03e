"""Which release of a framework or library an ask is about, on a CPython."""

from __future__ import annotations

import dataclasses
import datetime as dt

from matrix.errors import IndexUnavailableError
from matrix.model.reason import Reason
from matrix.planning.boundaries import tips
from matrix.planning.coverage import Coverage
from matrix.planning.existence import Unsatisfiable, lowest, newest, tracer_installs
from matrix.planning.expectations import Check, runtimes_of
from matrix.planning.libraries import LibraryReleases, runs_of_standard_library
from matrix.planning.page import ClaimPage
from matrix.probes.declaration import Integration
from matrix.pypi.index import Index
from matrix.pypi.releases import Release, Releases, specifier_allows

__all__ = ["TRACER", "VersionChoice"]

TRACER = "ddtrace"


@dataclasses.dataclass
class VersionChoice:
    """The shelves that were asked for, and what was chosen from them; `until` hides later ones.

    `candidate` is the release of the tracer that everything is asked of, "" without one.
    """

    index: Index
    coverage: Coverage
    until: dt.datetime | None = None
    candidate: str = ""
    shelves: dict[str, Releases] = dataclasses.field(default_factory=dict)
    _chosen: dict[tuple[object, ...], Release | Unsatisfiable] = dataclasses.field(
        default_factory=dict
    )
    _libraries: dict[tuple[object, ...], LibraryReleases | Unsatisfiable] = dataclasses.field(
        default_factory=dict
    )

    def shelf(self, name: str) -> Releases:
        """Return the releases of a project; raise `IndexUnavailableError`."""
        if name not in self.shelves:
            candidate = self.candidate if name == TRACER else ""
            self.shelves[name] = Releases(self.index.project(name), self.until, candidate)
        return self.shelves[name]

    def integration(self, ask: Check) -> Integration:
        """Return what the module of a library's row declares."""
        return self.coverage.integrations[ask.rule.library]

    def title(self, ask: Check, python: str) -> Release | Unsatisfiable:
        """Return the release of the framework or library for an ask on a CPython."""
        if ask.rule.library:
            return self._of_library(ask, python)
        choose = lowest if ask.pick == "lowest" else newest
        era = self._era(ask)
        key = (ask.framework, ask.specifier, ask.pick, python, era)
        if key not in self._chosen:
            self._chosen[key] = choose(self.shelf(ask.framework), ask.specifier, python, era)
        return self._chosen[key]

    def library(self, ask: Check) -> LibraryReleases | Unsatisfiable:
        """Return the library's releases that an ask is about."""
        integration, era = self.integration(ask), self._era(ask)
        if not integration.distribution:
            return Unsatisfiable(Reason.NO_RELEASE, f"{integration.slug} is a part of CPython")
        key = (integration.slug, ask.specifier, era)
        if key not in self._libraries:
            try:
                shelf = self.shelf(integration.distribution)
            except IndexUnavailableError as error:
                # One of many projects: the rest of the plan can do without.
                return Unsatisfiable(Reason.INDEX_UNAVAILABLE, error.message)
            self._libraries[key] = LibraryReleases.of(integration, shelf, ask.specifier, era)
        return self._libraries[key]

    def refused(self, ask: Check, python: str) -> Unsatisfiable | None:
        """Return why the row itself does not mean a CPython."""
        condition = ask.claim.get("automatic_python")
        if condition and not specifier_allows(condition, python):
            said = f"the row says it of CPython {condition} only"
            return Unsatisfiable(Reason.OUTSIDE_CLAIM, said)
        return None

    def nowhere(self, ask: Check, page: ClaimPage, target: str) -> bool:
        """Return whether the documented minimum runs with no branch of the tracer.

        Only CPythons that it is asked on count: on others it runs and nobody looks.
        """
        for boundary in tips(self.shelf(TRACER), page.branches):
            tracer = boundary.minimum
            known = self.library(dataclasses.replace(ask, boundary=boundary))
            pythons = runtimes_of(ask.claim, page, tracer, (), target).pythons
            if isinstance(known, LibraryReleases) and any(
                tracer_installs(tracer, python, target) is None
                and self.refused(ask, python) is None
                and isinstance(known.lowest(python), Release)
                for python in pythons
            ):
                return False
        return True

    def _of_library(self, ask: Check, python: str) -> Release | Unsatisfiable:
        if why := self.refused(ask, python):
            return why
        integration = self.integration(ask)
        if not integration.distribution:
            return runs_of_standard_library(integration, python, ask.boundary.minimum.uploaded)
        known = self.library(ask)
        if isinstance(known, Unsatisfiable):
            return known
        return known.lowest(python) if ask.pick == "lowest" else known.newest(python)

    def _era(self, ask: Check) -> dt.datetime:
        return self.until or ask.boundary.minimum.uploaded
