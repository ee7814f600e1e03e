"""Comparison groups: cells that some part is judged by together, through any number of parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from matrix.model.plan import Plan

__all__ = ["Group", "groups_of"]


@dataclasses.dataclass(frozen=True)
class Group:
    """Ids of cells to run and of cells in reserve, all for `target`, both in the plan's order."""

    target: str
    cells: tuple[str, ...]
    reserve: tuple[str, ...]

    @property
    def name(self) -> str:
        """Return what tells it from all others, whatever the order of the plan is."""
        return min((*self.cells, *self.reserve))


def groups_of(plan: Plan) -> tuple[Group, ...]:
    """Return the groups, each cell of the plan in one; a cell that no part names is one alone."""
    run = {each.cell.id: each.cell.target for each in plan.cells}
    reserve = {each.cell.id: each.cell.target for each in plan.fallbacks}
    targets = run | reserve
    together = _Together(list(targets))
    for part in plan.parts:
        together.join(part.cells)
    return tuple(
        Group(
            targets[cells[0]],
            tuple(cell for cell in cells if cell in run),
            tuple(cell for cell in cells if cell in reserve),
        )
        for cells in together.sets()
    )


class _Together:
    """Disjoint sets of names, joined as it is told (union-find)."""

    def __init__(self, names: list[str]) -> None:
        self._above = {name: name for name in names}

    def join(self, names: tuple[str, ...]) -> None:
        first = self._top(names[0])
        for name in names[1:]:
            self._above[self._top(name)] = first

    def sets(self) -> Iterator[list[str]]:
        found: dict[str, list[str]] = {}
        for name in self._above:
            found.setdefault(self._top(name), []).append(name)
        yield from found.values()

    def _top(self, name: str) -> str:
        while (above := self._above[name]) != name:
            # What is passed hangs higher afterwards: chains stay short.
            self._above[name] = self._above[above]
            name = above
        return name
