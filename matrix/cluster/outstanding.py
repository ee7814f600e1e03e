"""Cells that were asked for and have not ended: which go next, and which have nowhere to go. Pure.

No more cells are sent than the workers run at a time. Dask would take all, but a cell that waits at
a worker that dies counts as one that may have killed it, and a worker that comes later would have
to steal. So every cell that is lost had begun, and the first in the plan's order is the next.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future

from matrix.cluster.asked import Asked
from matrix.cluster.resources import Offer, can_run
from matrix.model.plan import PlannedCell
from matrix.verify.seams import Ran

__all__ = ["Outstanding", "Wanted"]

Needs = Callable[[PlannedCell], Mapping[str, float]]
_Kind = tuple[tuple[str, float], ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Wanted:
    """A cell that is asked for; `order` is unique, the least goes first."""

    order: int
    asked: Asked
    future: Future[Ran]


class Outstanding:
    """The cells of a run: those that wait, by what they need, and those that are at workers."""

    def __init__(self) -> None:
        self._waiting: dict[_Kind, list[tuple[int, Wanted]]] = {}
        self._sent: dict[int, tuple[Wanted, _Kind]] = {}
        self._used: Counter[str] = Counter()
        self._stuck: dict[_Kind, float] = {}
        self._offers: Sequence[Offer] = ()
        self._slots = 0
        self._room: dict[str, float] = {}
        self._fits: dict[_Kind, bool] = {}

    def __len__(self) -> int:
        return len(self._sent) + sum(map(len, self._waiting.values()))

    def put(self, wanted: Wanted, needs: Mapping[str, float]) -> None:
        """Take a cell in, with what it needs."""
        heap = self._waiting.setdefault(tuple(sorted(needs.items())), [])
        heapq.heappush(heap, (wanted.order, wanted))

    def offer(self, offers: Sequence[Offer]) -> None:
        """Take note of the workers that there are now."""
        self._offers = offers
        self._slots = sum(offer.slots for offer in offers)
        room: Counter[str] = Counter()
        for offer in offers:
            for name, count in offer.resources.items():
                room[name] += int(count)
        self._room = dict(room)
        self._fits.clear()

    def take(self) -> Iterator[tuple[Wanted, dict[str, float]]]:
        """Take out what the workers can begin now, the first first; it counts as sent."""
        while len(self._sent) < self._slots:
            kinds = [
                (heap[0][0], kind)
                for kind, heap in self._waiting.items()
                if heap and self._fit(kind) and self._has_room(kind)
            ]
            if not kinds:
                return
            _order, kind = min(kinds)
            _order, wanted = heapq.heappop(self._waiting[kind])
            self._sent[wanted.order] = wanted, kind
            self._used.update(name for name, _count in kind)
            yield wanted, dict(kind)

    def end(self, order: int) -> Wanted | None:
        """Take a cell out that has ended; None where it had ended before."""
        found = self._sent.pop(order, None)
        if found is not None:
            wanted, kind = found
            self._used.subtract(name for name, _count in kind)
            return wanted
        for heap in self._waiting.values():
            for place, (waiting, wanted) in enumerate(heap):
                if waiting == order:
                    # It was taken for lost, and its answer came after all.
                    del heap[place]
                    heapq.heapify(heap)
                    return wanted
        return None

    def again(self, needs: Needs, *, sent: bool) -> None:
        """Let cells wait for what they need now, also those that were `sent` where that is set."""
        every = [wanted for heap in self._waiting.values() for _order, wanted in heap]
        self._waiting.clear()
        if sent:
            every += [wanted for wanted, _kind in self._sent.values()]
            self._sent.clear()
            self._used.clear()
        for wanted in every:
            self.put(wanted, needs(wanted.asked.planned))

    def stranded(self, now: float, patience: float) -> list[tuple[Wanted, tuple[str, ...]]]:
        """Take out the cells that for `patience` seconds no worker could run; with what they need.

        Those that were sent are among them: the scheduler would keep them for ever.
        """
        kinds = {kind for kind, heap in self._waiting.items() if heap}
        kinds |= {kind for _wanted, kind in self._sent.values()}
        stuck = {kind for kind in kinds if not self._fit(kind)}
        self._stuck = {kind: self._stuck.get(kind, now) for kind in stuck}
        found = []
        for kind, since in list(self._stuck.items()):
            if now - since < patience:
                continue
            names = tuple(name for name, _count in kind)
            sent = [order for order, (_wanted, its) in self._sent.items() if its == kind]
            waiting = [order for order, _wanted in self._waiting.get(kind, ())]
            for order in sorted([*sent, *waiting]):
                wanted = self.end(order)
                if wanted is not None:
                    found.append((wanted, names))
        return found

    def all(self) -> list[Wanted]:
        """Take everything out."""
        found = [wanted for wanted, _kind in self._sent.values()]
        found += [wanted for heap in self._waiting.values() for _order, wanted in heap]
        self._waiting.clear()
        self._sent.clear()
        self._used.clear()
        return sorted(found, key=lambda wanted: wanted.order)

    def _fit(self, kind: _Kind) -> bool:
        if kind not in self._fits:
            self._fits[kind] = any(can_run(offer, dict(kind)) for offer in self._offers)
        return self._fits[kind]

    def _has_room(self, kind: _Kind) -> bool:
        return all(self._used[name] + count <= self._room.get(name, 0) for name, count in kind)
