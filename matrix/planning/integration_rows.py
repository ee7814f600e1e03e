"""Rows of integration tables: which cells a release of a library is judged by.

A row's range is asked at its least release, the newest that runs on the CPython, and one release of
each major between them. Ends of the range are asked on the CPythons that the profile means, majors
between on one CPython each, the newest that was there when the release came out: a row of ten
majors would otherwise cost ten times as much on each CPython as one of two.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence

from packaging.version import Version

from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.reason import Reason
from matrix.planning.boundaries import tips
from matrix.planning.cell_set import CellSet
from matrix.planning.existence import Unsatisfiable, tracer_installs
from matrix.planning.expectations import Check
from matrix.planning.libraries import LibraryReleases
from matrix.planning.page import ClaimPage
from matrix.planning.profiles import ProfileLimit
from matrix.planning.versions import TRACER, VersionChoice
from matrix.pypi.releases import Release, lowest_named

__all__ = ["CellSite", "IntegrationRows", "NeighbourCells"]

_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)*")


@dataclasses.dataclass(frozen=True)
class CellSite:
    """A release of a library on a CPython, for an ask; `others` are CPythons not asked yet.

    `first` is set on the first CPython of the ask: what is beside the range is tried there only.
    """

    ask: Check
    python: str
    target: str
    title: Release
    others: tuple[str, ...] = ()
    first: bool = True


@dataclasses.dataclass(frozen=True)
class NeighbourCells:
    """Cells beside a part's own, as `Part` has them."""

    before: Cell | None = None
    above: Cell | None = None
    elsewhere: tuple[Cell, ...] = ()
    later: tuple[Cell, ...] = ()
    choice: str = ""


@dataclasses.dataclass(frozen=True)
class IntegrationRows:
    """Chooses with `choosing`, and notes the cells in `drafts`."""

    choosing: VersionChoice
    drafts: CellSet

    def between(
        self, ask: Check, pythons: Sequence[str], target: str, narrowing: ProfileLimit
    ) -> Iterator[tuple[str, Release]]:
        """Yield releases of the majors that lie between the ends of the range, each on a CPython.

        On all where the profile is about all runtimes.
        """
        known = self.choosing.library(ask)
        if isinstance(known, Unsatisfiable):
            return
        usable = self._usable(ask, pythons, target)
        least = known.lowest_anywhere(usable)
        newest = {
            each: found for each in usable if isinstance(found := known.newest(each), Release)
        }
        if narrowing.runtimes == "all":
            for each, title in newest.items():
                yield from known.between([title, *least.values()], [each])
            return
        done = [newest[each] for each in narrowing.choose(tuple(newest))]
        yield from known.between([*done, *least.values()], usable)

    def stepped_up(
        self, ask: Check, page: ClaimPage, pythons: Sequence[str], target: str
    ) -> tuple[Mapping[str, Release], tuple[str, Unsatisfiable] | None]:
        """Return the lowest release that runs on any of the CPythons, and what to say of that."""
        known = self.choosing.library(ask)
        if isinstance(known, Unsatisfiable):
            return {}, None
        tracer = ask.boundary.minimum
        found = known.lowest_anywhere(self._usable(ask, pythons, target))
        if not found:
            return {}, None
        least = next(iter(found.values()))
        said = f"the lowest that runs on one that ddtrace {tracer.text} has is {least.text}"
        what = f"{ask.framework} {known.titles[0].text} with ddtrace {tracer.text}"
        nowhere = self.choosing.nowhere(ask, page, target)
        reason = Reason.NO_RUNTIME if nowhere else Reason.FRAMEWORK_PYTHON
        return found, (what, Unsatisfiable(reason, said))

    def compared(self, spot: CellSite, page: ClaimPage) -> Iterator[Cell]:
        """Yield the cells of other releases of a library, then of other releases of the tracer.

        The part's own cell comes first, so that the others are run where it does not show only.
        """
        tracer = spot.ask.boundary.minimum
        yield self._cell(spot)
        known = self.choosing.library(spot.ask)
        if isinstance(known, LibraryReleases):
            for each in known.others(spot.title, spot.python):
                yield self._cell(spot, title=each)
        shelf = self.choosing.shelf(TRACER)
        others = [each.minimum for each in reversed(tips(shelf, page.branches))]
        for other in spot.ask.boundary.controls if shelf.candidate else others:
            if other is not tracer and tracer_installs(other, spot.python, spot.target) is None:
                yield self._cell(spot, tracer=other)

    def around(self, spot: CellSite) -> NeighbourCells:
        """Return what is run beside a release of a library, and in reserve of it."""
        known = self.choosing.library(spot.ask)
        if isinstance(known, Unsatisfiable):
            return NeighbourCells()
        if spot.ask.pick == "newest":
            beyond = known.beyond(spot.python)
            return NeighbourCells(above=self._cell(spot, title=beyond) if beyond else None)
        if spot.ask.pick != "lowest":
            return NeighbourCells()
        under = known.before(spot.title, spot.python) if spot.first else None
        return NeighbourCells(
            before=self._cell(spot, title=under) if under else None,
            elsewhere=tuple(
                self._cell(spot, python=each)
                for each in self._usable(spot.ask, spot.others, spot.target)
                if known.runs(spot.title, each)
            ),
            later=tuple(
                self._cell(spot, title=each) for each in known.rungs(spot.title, spot.python)
            ),
            choice=_choice(spot, known),
        )

    def _usable(self, ask: Check, pythons: Sequence[str], target: str) -> list[str]:
        tracer = ask.boundary.minimum
        return [
            each
            for each in pythons
            if tracer_installs(tracer, each, target) is None
            and self.choosing.refused(ask, each) is None
        ]

    def _cell(
        self,
        spot: CellSite,
        *,
        python: str = "",
        title: Release | None = None,
        tracer: Release | None = None,
    ) -> Cell:
        return self.drafts.add(
            python or spot.python,
            spot.target,
            (spot.ask.framework, title or spot.title),
            tracer or spot.ask.boundary.minimum,
        )


def _choice(spot: CellSite, known: LibraryReleases) -> str:
    """Return how the release that is asked differs from the one that is written, or ""."""
    least, name = known.titles[0], spot.ask.framework
    told = []
    meant = lowest_named(spot.ask.claim.specifier)
    if meant is not None:
        written = _written(spot.ask.claim, meant)
        if least.version != meant:
            told.append(
                f"the index has no {name} {written}: the lowest in the range is {least.text}"
            )
        elif written != str(meant):
            told.append(f"{name} {written} is {least.text} on the index")
    if spot.title is not least:
        told.append(
            f"{name} {least.text} is for no CPython that ddtrace {spot.ask.boundary.minimum.text}"
            f" has: the lowest that is for one is {spot.title.text}"
        )
    return "; ".join(told)


def _written(claim: Claim, meant: Version) -> str:
    """Return the version as the document writes it."""
    found = (text for text in _VERSION.findall(claim.as_written) if Version(text) == meant)
    return next(found, str(meant))
