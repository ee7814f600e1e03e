"""Rows of integration tables: the cells that a release of a library is judged by.

A row's range is tested at its lowest release, at the newest that runs on the CPython, and at one
release of each major between them. The ends of the range are tested on the CPythons of the profile,
majors between them on one CPython each, the newest that existed when the release came out:
otherwise a row of ten majors would cost ten times as much on each CPython as a row of two.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from packaging.version import Version

from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.reason import Reason
from matrix.planning.boundaries import branch_heads
from matrix.planning.cell_set import CellSet
from matrix.planning.existence import LibraryReleases, Unsatisfiable, tracer_obstacle
from matrix.planning.expectations import Check
from matrix.planning.page import ClaimPage
from matrix.planning.profiles import ProfileLimit
from matrix.planning.versions import TRACER, VersionChoice
from matrix.pypi.releases import Release, lowest_named

_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")


@dataclasses.dataclass(frozen=True)
class CellSite:
    """A release of a framework or library on a CPython, for a check.

    `others` are CPythons that the check does not run on. `first` is set on the first CPython of
    the check: the release below the range is tried there only.
    """

    check: Check
    python: str
    target: str
    release: Release
    others: tuple[str, ...] = ()
    first: bool = True


@dataclasses.dataclass(frozen=True)
class NeighbourCells:
    """Cells beside a part's own, with the field names of `Part`."""

    before: Cell | None = None
    above: Cell | None = None
    elsewhere: tuple[Cell, ...] = ()
    later: tuple[Cell, ...] = ()
    choice: str = ""


@dataclasses.dataclass(frozen=True)
class IntegrationRows:
    """Chooses releases with `versions`, and adds their cells to `cells`."""

    versions: VersionChoice
    cells: CellSet

    def majors_between(
        self, check: Check, pythons: Sequence[str], target: str, limit: ProfileLimit
    ) -> Iterator[tuple[str, Release]]:
        """Yield releases of the majors between the ends of the range, each with a CPython.

        With every CPython where the profile runs all runtimes.
        """
        library = self.versions.library(check)
        if isinstance(library, Unsatisfiable):
            return
        usable = self._usable(check, pythons, target)
        lowest = library.lowest_on_any(usable)
        newest = {
            python: release
            for python in usable
            if isinstance(release := library.newest(python), Release)
        }
        if limit.runtimes == "all":
            for python, release in newest.items():
                yield from library.missing_majors([release, *lowest.values()], [python])
            return
        done = [newest[python] for python in limit.choose_pythons(tuple(newest))]
        yield from library.missing_majors([*done, *lowest.values()], usable)

    def lowest_running(
        self, check: Check, page: ClaimPage, pythons: Sequence[str], target: str
    ) -> tuple[Mapping[str, Release], tuple[str, Unsatisfiable] | None]:
        """Return the lowest release that runs on any of the CPythons, and a remark on it."""
        library = self.versions.library(check)
        if isinstance(library, Unsatisfiable):
            return {}, None
        tracer = check.boundary.minimum
        releases = library.lowest_on_any(self._usable(check, pythons, target))
        if not releases:
            return {}, None
        lowest = next(iter(releases.values())).text
        detail = f"the lowest that runs on a CPython of ddtrace {tracer.text} is {lowest}"
        subject = f"{check.framework} {library.releases[0].text} with ddtrace {tracer.text}"
        nowhere = self.versions.runs_nowhere(check, page, target)
        reason = Reason.NO_RUNTIME if nowhere else Reason.FRAMEWORK_PYTHON
        return releases, (subject, Unsatisfiable(reason, detail))

    def control_cells(self, site: CellSite, page: ClaimPage) -> Iterator[Cell]:
        """Yield the cells of other releases of a library, then of other releases of the tracer.

        The part's own cell comes first, so that the others run only where it does not show the
        feature.
        """
        tracer = site.check.boundary.minimum
        yield self._cell(site)
        library = self.versions.library(site.check)
        if isinstance(library, LibraryReleases):
            for release in library.comparisons(site.release, site.python):
                yield self._cell(site, release=release)
        tracers = self.versions.releases(TRACER)
        heads = [head.minimum for head in reversed(branch_heads(tracers, page.branches))]
        for other in site.check.boundary.controls if tracers.candidate else heads:
            if other is not tracer and tracer_obstacle(other, site.python, site.target) is None:
                yield self._cell(site, tracer=other)

    def neighbours(self, site: CellSite) -> NeighbourCells:
        """Return the cells that run beside a release of a library, and its fallbacks."""
        library = self.versions.library(site.check)
        if isinstance(library, Unsatisfiable):
            return NeighbourCells()
        if site.check.pick == "newest":
            beyond = library.beyond(site.python)
            return NeighbourCells(above=self._cell(site, release=beyond) if beyond else None)
        if site.check.pick != "lowest":
            return NeighbourCells()
        before = library.before(site.release, site.python) if site.first else None
        return NeighbourCells(
            before=self._cell(site, release=before) if before else None,
            elsewhere=tuple(
                self._cell(site, python=python)
                for python in self._usable(site.check, site.others, site.target)
                if library.runs(site.release, python)
            ),
            later=tuple(
                self._cell(site, release=release)
                for release in library.fallback_versions(site.release, site.python)
            ),
            choice=_describe_choice(site, library),
        )

    def _usable(self, check: Check, pythons: Sequence[str], target: str) -> list[str]:
        tracer = check.boundary.minimum
        return [
            python
            for python in pythons
            if tracer_obstacle(tracer, python, target) is None
            and self.versions.python_obstacle(check, python) is None
        ]

    def _cell(
        self,
        site: CellSite,
        *,
        python: str = "",
        release: Release | None = None,
        tracer: Release | None = None,
    ) -> Cell:
        return self.cells.add(
            python or site.python,
            site.target,
            (site.check.framework, release or site.release),
            tracer or site.check.boundary.minimum,
        )


def _describe_choice(site: CellSite, library: LibraryReleases) -> str:
    """Return how the release that is tested differs from the documented one, or ""."""
    lowest, name = library.releases[0], site.check.framework
    clauses = []
    minimum = lowest_named(site.check.claim.specifier)
    if minimum is not None:
        written = _as_written(site.check.claim, minimum)
        if lowest.version != minimum:
            clauses.append(
                f"the index has no {name} {written}: the lowest in the range is {lowest.text}"
            )
        elif written != str(minimum):
            clauses.append(f"{name} {written} is {lowest.text} on the index")
    if site.release is not lowest:
        tracer = site.check.boundary.minimum.text
        clauses.append(
            f"{name} {lowest.text} is for no CPython that ddtrace {tracer} has:"
            f" the lowest that is for one is {site.release.text}"
        )
    return "; ".join(clauses)


def _as_written(claim: Claim, version: Version) -> str:
    """Return the version as the document writes it."""
    written = (text for text in _VERSION.findall(claim.as_written) if Version(text) == version)
    return next(written, str(version))
