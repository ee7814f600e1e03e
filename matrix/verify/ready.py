"""The cells that could run now, the first first."""

from __future__ import annotations

from collections.abc import Iterable

from matrix.verify.item import Item

__all__ = ["Ready"]


class Ready:
    """Cells by their order. Of those for `emulated` targets `most` run at a time: others wait for
    half of their time, these compute for all of it, and slow each other down to their time limits.
    """

    def __init__(self, emulated: frozenset[str], most: int) -> None:
        self._emulated = emulated
        self._most = most
        self._items: dict[int, Item] = {}

    def put(self, item: Item) -> None:
        """Take a cell in."""
        self._items[item.order] = item

    def take(self, running: Iterable[Item]) -> Item | None:
        """Take the first cell out that may run beside those that are; None where there is none."""
        full = sum(map(self._is_slow, running)) >= self._most
        for order in sorted(self._items):
            if not (full and self._is_slow(self._items[order])):
                return self._items.pop(order)
        return None

    def _is_slow(self, item: Item) -> bool:
        return item.planned.cell.target in self._emulated
