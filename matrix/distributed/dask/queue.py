"""Cells that were asked for and have not ended: which go next, and which have nowhere to go. Pure.

No more cells are sent than the workers run at a time. Dask would take all, but a cell that waits at
a worker that dies counts as one that may have killed it, and a worker that comes later would have
to steal. So every cell that is lost had begun, and the first in the plan's order is the next.

What workers have left, as far as it can be told from what was sent. Pure.

Workers that offer the same are counted together, and others apart: a machine for two targets has
not room for both at once, however many machines for other targets have nothing to do.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future

from matrix.distributed.dask.resources import WorkerOffer, can_run
from matrix.distributed.dask.task import Task
from matrix.model.plan import PlannedCell
from matrix.runs.interfaces import RemoteResult

__all__ = ["Kind", "PendingCell", "PendingQueue", "WorkerGroup", "WorkerPool"]

Kind = tuple[tuple[str, float], ...]
"""What cells of a kind need: names of resources with counts, sorted."""


@dataclasses.dataclass(eq=False)
class WorkerGroup:
    """Workers that offer the same: one of them, and what all have left together."""

    one: WorkerOffer
    slots: int = 0
    left: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, offer: WorkerOffer) -> None:
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


class WorkerPool:
    """All workers that there are, those alike together, those that offer least first.

    Which worker of several a cell goes to, Dask says. It is counted where least else could go.
    """

    def __init__(self, offers: Iterable[WorkerOffer] = ()) -> None:
        found: dict[tuple[int, Kind], WorkerGroup] = {}
        for offer in offers:
            key = offer.slots, tuple(sorted(offer.resources.items()))
            found.setdefault(key, WorkerGroup(offer)).add(offer)
        self._alike = [found[key] for key in sorted(found, key=lambda key: (len(key[1]), key))]
        self._fitting: dict[Kind, list[WorkerGroup]] = {}

    def fitting(self, kind: Kind) -> list[WorkerGroup]:
        """Return the workers that could ever run a cell of this kind."""
        if kind not in self._fitting:
            self._fitting[kind] = [each for each in self._alike if can_run(each.one, dict(kind))]
        return self._fitting[kind]

    def place(self, kind: Kind) -> WorkerGroup | None:
        """Return workers that can begin a cell of this kind now, None where there are none."""
        return next((each for each in self.fitting(kind) if each.has(kind)), None)


Needs = Callable[[PlannedCell], Mapping[str, float]]


@dataclasses.dataclass(frozen=True, eq=False)
class PendingCell:
    """A cell that is asked for; `order` is unique, the least goes first."""

    order: int
    asked: Task
    future: Future[RemoteResult]


@dataclasses.dataclass(frozen=True)
class _Sent:
    """A cell at workers; `at` is None where there is no more room at those that fit it."""

    wanted: PendingCell
    kind: Kind
    at: WorkerGroup | None


class PendingQueue:
    """The cells of a run: those that wait, by what they need, and those that are at workers."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, list[tuple[int, PendingCell]]] = {}
        self._sent: dict[int, _Sent] = {}
        self._stuck: dict[Kind, float] = {}
        self._slots = 0
        self._room = WorkerPool()

    def __len__(self) -> int:
        return len(self._sent) + sum(map(len, self._waiting.values()))

    def put(self, wanted: PendingCell, needs: Mapping[str, float]) -> None:
        """Take a cell in, with what it needs."""
        heap = self._waiting.setdefault(tuple(sorted(needs.items())), [])
        heapq.heappush(heap, (wanted.order, wanted))

    def offer(self, offers: Sequence[WorkerOffer]) -> None:
        """Take note of the workers that there are now."""
        self._slots = sum(offer.slots for offer in offers)
        self._room = WorkerPool(offers)
        # Whatever was at a worker that has left is given to another one like it.
        for order, sent in self._sent.items():
            self._sent[order] = self._placed(sent.wanted, sent.kind)

    def take(self) -> Iterator[tuple[PendingCell, dict[str, float]]]:
        """Take out what the workers can begin now, the first first; it counts as sent."""
        while len(self._sent) < self._slots:
            first: tuple[int, Kind] | None = None
            for kind, heap in self._waiting.items():
                if heap and (first is None or heap[0][0] < first[0]) and self._room.place(kind):
                    first = heap[0][0], kind
            if first is None:
                return
            order, kind = first
            _order, wanted = heapq.heappop(self._waiting[kind])
            self._sent[order] = self._placed(wanted, kind)
            yield wanted, dict(kind)

    def end(self, order: int) -> PendingCell | None:
        """Take a cell out that has ended; None where it had ended before."""
        found = self._sent.pop(order, None)
        if found is not None:
            if found.at is not None:
                found.at.give_back(found.kind)
            return found.wanted
        for heap in self._waiting.values():
            for place, (waiting, wanted) in enumerate(heap):
                if waiting == order:
                    # It was taken for lost, and its answer came after all.
                    del heap[place]
                    heapq.heapify(heap)
                    return wanted
        return None

    def again(self, needs: Needs) -> None:
        """Let the cells that wait do so for what they need now."""
        every = [wanted for heap in self._waiting.values() for _order, wanted in heap]
        self._waiting.clear()
        for wanted in every:
            self.put(wanted, needs(wanted.asked.planned))

    def stranded(self, now: float, patience: float) -> list[tuple[PendingCell, tuple[str, ...]]]:
        """Take out the cells that for `patience` seconds no worker could run; with what they need.

        Those that were sent are among them: the scheduler would keep them for ever.
        """
        kinds = {kind for kind, heap in self._waiting.items() if heap}
        kinds |= {sent.kind for sent in self._sent.values()}
        stuck = {kind for kind in kinds if not self._room.fitting(kind)}
        self._stuck = {kind: self._stuck.get(kind, now) for kind in stuck}
        found = []
        for kind, since in list(self._stuck.items()):
            if now - since < patience:
                continue
            names = tuple(name for name, _count in kind)
            sent = [order for order, each in self._sent.items() if each.kind == kind]
            waiting = [order for order, _wanted in self._waiting.get(kind, ())]
            for order in sorted([*sent, *waiting]):
                wanted = self.end(order)
                if wanted is not None:
                    found.append((wanted, names))
        return found

    def all(self) -> list[PendingCell]:
        """Take everything out."""
        found = [sent.wanted for sent in self._sent.values()]
        found += [wanted for heap in self._waiting.values() for _order, wanted in heap]
        self._sent.clear()
        self._waiting.clear()
        return sorted(found, key=lambda wanted: wanted.order)

    def _placed(self, wanted: PendingCell, kind: Kind) -> _Sent:
        at = self._room.place(kind)
        if at is not None:
            at.take(kind)
        return _Sent(wanted, kind, at)
