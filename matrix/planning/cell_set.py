"""Collect the cells that the parts of a plan need, and order the parts.

A cell is needed by several parts, in several roles. Parts are ordered so that verdicts come early
and at a steady pace.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence

from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Part, PlannedCell
from matrix.pypi.releases import Release

# Promises about runtimes and integrations come after those about capabilities.
_LATE_KINDS = (ClaimKind.INTEGRATION, ClaimKind.RUNTIME)
_RANK = {kind: rank for rank, kind in enumerate(ClaimKind)}


def dependency_date(tracer: Release, framework: Release) -> dt.date:
    """Return the day after the younger of the two releases, when both can be installed.

    The release before a minimum can be older than the framework that it is compared on.
    """
    return max(tracer.uploaded, framework.uploaded).date() + dt.timedelta(days=1)


@dataclasses.dataclass
class CellSet:
    """The cells of a plan with their dependency dates."""

    as_of: dt.date | None = None
    dates: dict[Cell, dt.date] = dataclasses.field(default_factory=dict)
    # A plan needs the same cell many times; the same object is compared fastest.
    _cells: dict[tuple[str, ...], Cell] = dataclasses.field(default_factory=dict)

    def add(
        self,
        python: str,
        target: str,
        framework: tuple[str, Release],
        tracer: Release,
        place: str = "",
    ) -> Cell:
        """Add a cell and return it."""
        name, release = framework
        key = (python, target, name, release.text, tracer.text, place)
        if key not in self._cells:
            cell = self._cells[key] = Cell(*key[:-1], self.as_of, place)
            self.dates[cell] = self.as_of or dependency_date(tracer, release)
        return self._cells[key]


def plan_cells(
    parts: Iterable[Part], dates: Mapping[Cell, dt.date], soaked: frozenset[str]
) -> tuple[tuple[PlannedCell, ...], tuple[PlannedCell, ...]]:
    """Return the cells to run and the fallbacks, both in the order of the parts that need them.

    Cells that decide nothing come last. `dates` are the dependency dates of all cells, `soaked` the
    probes whose minimum cells serve a soak.
    """
    run: dict[Cell, None] = {}
    probes: dict[Cell, set[str]] = {}
    decisive: dict[Cell, set[str]] = {}
    soak: set[Cell] = set()
    beyond: dict[Cell, None] = {}
    for part in parts:
        run |= dict.fromkeys(part.required)
        beyond |= dict.fromkeys(part.beyond)
        for cell in part.cells:
            probes.setdefault(cell, set()).add(part.probe)
        for cell in (part.minimum, *part.controls, *part.elsewhere, *part.later):
            decisive.setdefault(cell, set()).add(part.probe)
        if part.probe in soaked and not part.minimum.place:
            soak.add(part.minimum)

    run = _by_target(run, beyond)

    def planned(cell: Cell) -> PlannedCell:
        return PlannedCell(
            cell=cell,
            as_of=dates[cell],
            probes=tuple(sorted(probes[cell])),
            decisive=tuple(sorted(decisive.get(cell, ()))),
            soak=cell in soak,
        )

    cells = tuple(planned(cell) for cell in run)
    return cells, tuple(planned(cell) for cell in probes if cell not in run)


def _by_target(deciding: Mapping[Cell, None], beyond: Mapping[Cell, None]) -> dict[Cell, None]:
    """Return both kinds of cells, by target; of each target those that decide something first."""
    cells = {**deciding, **beyond}
    targets = {target: number for number, target in enumerate({cell.target: 0 for cell in cells})}
    order = sorted(cells, key=lambda cell: (targets[cell.target], cell not in deciding))
    return dict.fromkeys(order)


def order_parts(claims: Iterable[Claim], parts: Sequence[Part]) -> list[Part]:
    """Return the parts so that the claim whose remaining cells cost least always comes next.

    A cell costs as much as it has probes, of whatever claims, because it ends when its last probe
    did. The parts of one claim keep their order. The order of the claims does not matter.
    """
    parts_by_claim: dict[str, list[Part]] = {}
    for part in parts:
        parts_by_claim.setdefault(part.claim, []).append(part)
    queue = _ClaimQueue([claim for claim in claims if claim.id in parts_by_claim], parts)
    return [part for claim in queue.cheapest_first() for part in parts_by_claim[claim.id]]


class _ClaimQueue:
    """Claims with the current cost of each."""

    def __init__(self, claims: Iterable[Claim], parts: Iterable[Part]) -> None:
        self._claims = sorted(
            claims, key=lambda claim: (_RANK[claim.kind], claim.subject, claim.id)
        )
        cells: dict[str, set[Cell]] = {}
        probes: dict[Cell, set[str]] = {}
        for part in parts:
            required = set(part.required)
            cells.setdefault(part.claim, set()).update(required)
            for cell in required:
                probes.setdefault(cell, set()).add(part.probe)
        self._cells = [cells[claim.id] for claim in self._claims]
        self._cell_cost = {cell: len(names) for cell, names in probes.items()}
        self._costs = [sum(map(self._cell_cost.__getitem__, needed)) for needed in self._cells]
        self._needed_by: dict[Cell, list[int]] = {}
        for position, needed in enumerate(self._cells):
            for cell in needed:
                self._needed_by.setdefault(cell, []).append(position)

    def cheapest_first(self) -> Iterator[Claim]:
        """Yield the claims. The heap has an entry for each cost a claim had; costs only fall."""
        heap = [self._entry(position) for position in range(len(self._claims))]
        heapq.heapify(heap)
        done: set[int] = set()
        while heap:
            _, _, best = heapq.heappop(heap)
            if best not in done:
                done.add(best)
                for position in self._pay(self._cells[best]) - done:
                    heapq.heappush(heap, self._entry(position))
                yield self._claims[best]

    def _entry(self, position: int) -> tuple[bool, int, int]:
        return self._claims[position].kind in _LATE_KINDS, self._costs[position], position

    def _pay(self, cells: Iterable[Cell]) -> set[int]:
        """Mark cells as planned; return the positions of the claims that cost less now."""
        cheaper: set[int] = set()
        for cell in cells:
            for position in self._needed_by.pop(cell, ()):
                self._costs[position] -= self._cell_cost[cell]
                cheaper.add(position)
        return cheaper
