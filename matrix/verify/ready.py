"""The cells that could run now, the first first."""

from __future__ import annotations

import heapq
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
        self._fast: list[tuple[int, Item]] = []
        self._slow: list[tuple[int, Item]] = []

    def put(self, item: Item) -> None:
        """Take a cell in; no other has its order."""
        heapq.heappush(self._slow if self._is_slow(item) else self._fast, (item.order, item))

    def take(self, running: Iterable[Item]) -> Item | None:
        """Take the first cell out that may run beside those that are; None where there is none."""
        slow = self._slow
        if slow and sum(map(self._is_slow, running)) >= self._most:
            slow = []
        first = min((heap for heap in (self._fast, slow) if heap), default=None)
        return heapq.heappop(first)[1] if first else None

    def _is_slow(self, item: Item) -> bool:
        return item.planned.cell.target in self._emulated
