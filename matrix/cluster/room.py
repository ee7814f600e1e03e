"""What workers have left, as far as it can be told from what was sent. Pure.

Workers that offer the same are counted together, and others apart: a machine for two targets has
not room for both at once, however many machines for other targets have nothing to do.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable

from matrix.cluster.resources import Offer, can_run

__all__ = ["Alike", "Kind", "Room"]

Kind = tuple[tuple[str, float], ...]
"""What cells of a kind need: names of resources with counts, sorted."""


@dataclasses.dataclass(eq=False)
class Alike:
    """Workers that offer the same: one of them, and what all have left together."""

    one: Offer
    slots: int = 0
    left: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, offer: Offer) -> None:
        """Count a worker in."""
        self.slots += offer.slots
        for name, count in offer.resources.items():
            self.left[name] += int(count)

    def has(self, kind: Kind) -> bool:
        """Return whether one of them can begin a cell of this kind now."""
        return self.slots > 0 and all(self.left[name] >= count for name, count in kind)

    def take(self, kind: Kind) -> None:
        """Count a cell as sent to one of them."""
        self.slots -= 1
        self.left.subtract(name for name, _count in kind)

    def give_back(self, kind: Kind) -> None:
        """Count a cell as ended there."""
        self.slots += 1
        self.left.update(name for name, _count in kind)


class Room:
    """All workers that there are, those alike together, those that offer least first.

    Which worker of several a cell goes to, Dask says. It is counted where least else could go.
    """

    def __init__(self, offers: Iterable[Offer] = ()) -> None:
        found: dict[tuple[int, Kind], Alike] = {}
        for offer in offers:
            key = offer.slots, tuple(sorted(offer.resources.items()))
            found.setdefault(key, Alike(offer)).add(offer)
        self._alike = [found[key] for key in sorted(found, key=lambda key: (len(key[1]), key))]
        self._fitting: dict[Kind, list[Alike]] = {}

    def fitting(self, kind: Kind) -> list[Alike]:
        """Return the workers that could ever run a cell of this kind."""
        if kind not in self._fitting:
            self._fitting[kind] = [each for each in self._alike if can_run(each.one, dict(kind))]
        return self._fitting[kind]

    def place(self, kind: Kind) -> Alike | None:
        """Return workers that can begin a cell of this kind now, None where there are none."""
        return next((each for each in self.fitting(kind) if each.has(kind)), None)
