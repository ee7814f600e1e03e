"""Cells while they are collected: each is wanted by several parts, in several roles."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Mapping

from matrix.model.cell import Cell
from matrix.model.plan import Part, PlannedCell, Role
from matrix.planning.shelf import Title

__all__ = ["Drafts", "dependency_date"]


def dependency_date(tracer: Title, framework: Title) -> dt.date:
    """Return the day after the younger of the two releases: both and their era are there then.

    The release before a minimum can be older than the framework that it is compared on.
    """
    return max(tracer.uploaded, framework.uploaded).date() + dt.timedelta(days=1)


@dataclasses.dataclass
class Drafts:
    """Cells by id, and what the parts want of them."""

    as_of: dt.date | None = None
    _cells: dict[str, tuple[Cell, dt.date]] = dataclasses.field(default_factory=dict)

    def add(self, python: str, target: str, framework: tuple[str, Title], tracer: Title) -> str:
        """Return the id of the cell, which is known from now on."""
        name, release = framework
        cell = Cell(python, target, name, release.text, tracer.text, self.as_of)
        date = self.as_of or dependency_date(tracer, release)
        self._cells.setdefault(cell.id, (cell, date))
        return cell.id

    def planned(
        self, parts: Iterable[Part], soaked: frozenset[str]
    ) -> tuple[tuple[PlannedCell, ...], tuple[PlannedCell, ...]]:
        """Return the cells to run and the fallbacks, both in the order of the parts.

        `soaked` are the probes whose minimum cells serve a soak.
        """
        return plan_cells(parts, self._cells, soaked)


def plan_cells(
    parts: Iterable[Part], known: Mapping[str, tuple[Cell, dt.date]], soaked: frozenset[str]
) -> tuple[tuple[PlannedCell, ...], tuple[PlannedCell, ...]]:
    """Return the cells that the parts need, first those to run, then the fallbacks."""
    run: dict[str, None] = {}
    all_of: dict[str, None] = {}
    probes: dict[str, set[str]] = {}
    decisive: dict[str, set[str]] = {}
    soak: set[str] = set()
    for part in parts:
        asked = part.asked
        roles = [(part.minimum, Role.MINIMUM)]
        roles += [(cell, Role.BEFORE) for cell in (part.before, part.above) if cell]
        in_reserve = (*part.controls, *part.elsewhere, *part.rungs)
        roles += [(cell, Role.CONTROL) for cell in in_reserve]
        for cell, role in roles:
            all_of.setdefault(cell)
            probes.setdefault(cell, set()).add(part.probe)
            if role is not Role.BEFORE:
                decisive.setdefault(cell, set()).add(part.probe)
            if role is Role.MINIMUM and part.probe in soaked:
                soak.add(cell)
            if cell in asked:
                run.setdefault(cell)

    def planned(cell: str) -> PlannedCell:
        return PlannedCell(
            cell=known[cell][0],
            as_of=known[cell][1],
            probes=tuple(sorted(probes[cell])),
            decisive=tuple(sorted(decisive.get(cell, ()))),
            soak=cell in soak,
        )

    cells = tuple(planned(cell) for cell in run)
    return cells, tuple(planned(cell) for cell in all_of if cell not in run)
