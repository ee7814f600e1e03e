"""Cells while they are collected: each is wanted by several parts, in several roles.

The order of parts, and by it that of cells: verdicts are to fall early and steadily.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Part, PlannedCell, Role
from matrix.pypi.releases import Release

__all__ = ["CellSet", "by_target", "dependency_date", "in_order"]


def dependency_date(tracer: Release, framework: Release) -> dt.date:
    """Return the day after the younger of the two releases: both and their era are there then.

    The release before a minimum can be older than the framework that it is compared on.
    """
    return max(tracer.uploaded, framework.uploaded).date() + dt.timedelta(days=1)


@dataclasses.dataclass
class CellSet:
    """Cells by id, and what the parts want of them."""

    as_of: dt.date | None = None
    _dates: dict[Cell, dt.date] = dataclasses.field(default_factory=dict)

    def add(
        self, python: str, target: str, framework: tuple[str, Release], tracer: Release
    ) -> Cell:
        """Return the cell, which is in the set from now on."""
        name, release = framework
        cell = Cell(python, target, name, release.text, tracer.text, self.as_of)
        date = self.as_of or dependency_date(tracer, release)
        self._dates.setdefault(cell, date)
        return cell

    def planned(
        self, parts: Iterable[Part], soaked: frozenset[str]
    ) -> tuple[tuple[PlannedCell, ...], tuple[PlannedCell, ...]]:
        """Return the cells to run and the fallbacks, both in the order of the parts.

        `soaked` are the probes whose minimum cells serve a soak.
        """
        return plan_cells(parts, self._dates, soaked)


def plan_cells(
    parts: Iterable[Part], dates: Mapping[Cell, dt.date], soaked: frozenset[str]
) -> tuple[tuple[PlannedCell, ...], tuple[PlannedCell, ...]]:
    """Return the cells that the parts need, first those to run, then the fallbacks."""
    run: dict[Cell, None] = {}
    needed: dict[Cell, None] = {}
    probes: dict[Cell, set[str]] = {}
    decisive: dict[Cell, set[str]] = {}
    soak: set[Cell] = set()
    for part in parts:
        required = part.required
        roles = [(part.minimum, Role.MINIMUM)]
        roles += [(cell, Role.BEFORE) for cell in (part.before, part.above) if cell]
        in_reserve = (*part.controls, *part.elsewhere, *part.later)
        roles += [(cell, Role.CONTROL) for cell in in_reserve]
        for cell, role in roles:
            needed.setdefault(cell)
            probes.setdefault(cell, set()).add(part.probe)
            if role is not Role.BEFORE:
                decisive.setdefault(cell, set()).add(part.probe)
            if role is Role.MINIMUM and part.probe in soaked:
                soak.add(cell)
            if cell in required:
                run.setdefault(cell)

    def planned(cell: Cell) -> PlannedCell:
        return PlannedCell(
            cell=cell,
            as_of=dates[cell],
            probes=tuple(sorted(probes[cell])),
            decisive=tuple(sorted(decisive.get(cell, ()))),
            soak=cell in soak,
        )

    cells = tuple(planned(cell) for cell in run)
    return cells, tuple(planned(cell) for cell in needed if cell not in run)


# Promises about runtimes and integrations come after those about capabilities.
_LATE = (ClaimKind.INTEGRATION, ClaimKind.RUNTIME)
_RANK = {kind: rank for rank, kind in enumerate(ClaimKind)}


def in_order(claims: Iterable[Claim], parts: Sequence[Part]) -> list[Part]:
    """Return the parts: next is always the claim whose cells that are not yet there cost least.

    A cell costs as much as it has probes, of whatever claims: it ends when the last one did. The
    parts of one claim keep their order. The same whatever the order of the claims is.
    """
    of_claim: dict[str, list[Part]] = {}
    for part in parts:
        of_claim.setdefault(part.claim, []).append(part)
    waiting = _Waiting([claim for claim in claims if claim.id in of_claim], parts)
    return [part for claim in waiting.cheapest_first() for part in of_claim[claim.id]]


class _Waiting:
    """Claims that wait for their turn, and what each would cost now."""

    def __init__(self, claims: Iterable[Claim], parts: Iterable[Part]) -> None:
        self._claims = sorted(
            claims, key=lambda claim: (_RANK[claim.kind], claim.subject, claim.id)
        )
        needs: dict[str, set[Cell]] = {}
        probes: dict[Cell, set[str]] = {}
        for part in parts:
            required = set(part.required)
            needs.setdefault(part.claim, set()).update(required)
            for cell in required:
                probes.setdefault(cell, set()).add(part.probe)
        self._needs = [needs[claim.id] for claim in self._claims]
        self._cost = {cell: len(found) for cell, found in probes.items()}
        self._costs = [sum(map(self._cost.__getitem__, cells)) for cells in self._needs]
        self._needed_by: dict[Cell, list[int]] = {}
        for place, cells in enumerate(self._needs):
            for cell in cells:
                self._needed_by.setdefault(cell, []).append(place)

    def cheapest_first(self) -> Iterator[Claim]:
        """Yield the claims; each is in the heap once for each cost that it had: costs only fall."""
        heap = [self._entry(place) for place in range(len(self._claims))]
        heapq.heapify(heap)
        done: set[int] = set()
        while heap:
            _, _, best = heapq.heappop(heap)
            if best not in done:
                done.add(best)
                for place in self._cheaper(self._needs[best]) - done:
                    heapq.heappush(heap, self._entry(place))
                yield self._claims[best]

    def _entry(self, place: int) -> tuple[bool, int, int]:
        return self._claims[place].kind in _LATE, self._costs[place], place

    def _cheaper(self, cells: Iterable[Cell]) -> set[int]:
        """Note that the cells are there; return the claims that cost less for that."""
        found: set[int] = set()
        for cell in cells:
            for place in self._needed_by.pop(cell, ()):
                self._costs[place] -= self._cost[cell]
                found.add(place)
        return found


def by_target(parts: Iterable[Part], targets: Sequence[str]) -> list[Part]:
    """Return the parts, those of the first target first: what is emulated is slow, and comes last.

    Those of one target keep their order.
    """
    return sorted(parts, key=lambda part: targets.index(part.minimum.target))
