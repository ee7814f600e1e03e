"""The cells that wait for workers or are at workers, and which of them is sent next. Pure.

No more cells are sent than the workers run at a time. Dask would take all, but a cell that waits at
a worker that dies counts as one that may have killed it, and a worker that comes later would have
to steal. With this limit, every cell that is lost had started, and the first in the plan's order is
the next to run.

The free capacity of workers is derived from what was sent. Workers with equal offers are counted
together, and others apart: a machine for two targets has no capacity for both at once, even if
machines for other targets are idle.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future

from matrix.distributed.dask.interface import CellTask
from matrix.distributed.dask.resources import WorkerOffer, can_run
from matrix.model.plan import PlannedCell
from matrix.runs.interface import CellResult

Kind = tuple[tuple[str, float], ...]
"""The needs of cells of one kind: names of resources with counts, sorted."""


@dataclasses.dataclass(eq=False)
class WorkerGroup:
    """Workers with equal offers: one of the offers, and the free capacity of all together."""

    example: WorkerOffer
    slots: int = 0
    free: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, offer: WorkerOffer) -> None:
        """Add the capacity of a worker."""
        self.slots += offer.slots
        for name, count in offer.resources.items():
            self.free[name] += int(count)

    def has(self, kind: Kind) -> bool:
        """Return whether one of the workers can start a cell of this kind now."""
        return self.slots > 0 and all(self.free[name] >= count for name, count in kind)

    def take(self, kind: Kind) -> None:
        """Count a cell as sent to one of the workers."""
        self.slots -= 1
        self.free.subtract(name for name, _count in kind)

    def give_back(self, kind: Kind) -> None:
        """Count a cell of one of the workers as ended."""
        self.slots += 1
        self.free.update(name for name, _count in kind)


class WorkerPool:
    """All current workers in groups; the groups with the fewest resources first.

    Dask decides which worker gets a cell. It is counted in the group that fits the fewest others.
    """

    def __init__(self, offers: Iterable[WorkerOffer] = ()) -> None:
        groups: dict[tuple[int, Kind], WorkerGroup] = {}
        for offer in offers:
            key = offer.slots, tuple(sorted(offer.resources.items()))
            groups.setdefault(key, WorkerGroup(offer)).add(offer)
        self._groups = [groups[key] for key in sorted(groups, key=lambda key: (len(key[1]), key))]
        self._fitting: dict[Kind, list[WorkerGroup]] = {}

    def fitting(self, kind: Kind) -> list[WorkerGroup]:
        """Return the groups whose workers can run a cell of this kind when they are free."""
        if kind not in self._fitting:
            needs = dict(kind)
            self._fitting[kind] = [g for g in self._groups if can_run(g.example, needs)]
        return self._fitting[kind]

    def place(self, kind: Kind) -> WorkerGroup | None:
        """Return a group that can start a cell of this kind now, None where there is none."""
        return next((group for group in self.fitting(kind) if group.has(kind)), None)


@dataclasses.dataclass(frozen=True, eq=False)
class PendingCell:
    """A cell that has not ended; `order` is unique, the lowest goes first."""

    order: int
    task: CellTask
    future: Future[CellResult]


@dataclasses.dataclass(frozen=True)
class _SentCell:
    """A cell at a worker; `group` is None where none of the fitting groups has capacity left."""

    pending: PendingCell
    kind: Kind
    group: WorkerGroup | None


class PendingQueue:
    """The cells of a run that have not ended: waiting cells by their needs, and sent cells."""

    def __init__(self) -> None:
        self._waiting: dict[Kind, list[tuple[int, PendingCell]]] = {}
        self._sent: dict[int, _SentCell] = {}
        self._unfit_since: dict[Kind, float] = {}
        self._slots = 0
        self._pool = WorkerPool()

    def __len__(self) -> int:
        return len(self._sent) + sum(map(len, self._waiting.values()))

    def put(self, pending: PendingCell, needs: Mapping[str, float]) -> None:
        """Add a cell with its needs."""
        heap = self._waiting.setdefault(tuple(sorted(needs.items())), [])
        heapq.heappush(heap, (pending.order, pending))

    def offer(self, offers: Sequence[WorkerOffer]) -> None:
        """Set the current workers."""
        self._slots = sum(offer.slots for offer in offers)
        self._pool = WorkerPool(offers)
        # Dask gives the cells of a worker that has left to another one like it.
        for order, sent in self._sent.items():
            self._sent[order] = self._place(sent.pending, sent.kind)

    def take(self) -> Iterator[tuple[PendingCell, dict[str, float]]]:
        """Yield the cells that workers can start now, in order; they count as sent."""
        while len(self._sent) < self._slots:
            first: tuple[int, Kind] | None = None
            for kind, heap in self._waiting.items():
                if heap and (first is None or heap[0][0] < first[0]) and self._pool.place(kind):
                    first = heap[0][0], kind
            if first is None:
                return
            order, kind = first
            _order, pending = heapq.heappop(self._waiting[kind])
            self._sent[order] = self._place(pending, kind)
            yield pending, dict(kind)

    def end(self, order: int) -> PendingCell | None:
        """Remove a cell that has ended; return None where it had been removed before."""
        sent = self._sent.pop(order, None)
        if sent is not None:
            if sent.group is not None:
                sent.group.give_back(sent.kind)
            return sent.pending
        for heap in self._waiting.values():
            for index, (waiting, pending) in enumerate(heap):
                if waiting == order:
                    # It was believed lost, and its result arrived after all.
                    del heap[index]
                    heapq.heapify(heap)
                    return pending
        return None

    def update_needs(self, needs: Callable[[PlannedCell], Mapping[str, float]]) -> None:
        """Replace the needs of all waiting cells."""
        waiting = self._all_waiting()
        self._waiting.clear()
        for pending in waiting:
            self.put(pending, needs(pending.task.planned))

    def take_unfit(self, now: float, timeout: float) -> list[tuple[PendingCell, tuple[str, ...]]]:
        """Remove and return the cells that fit no worker for `timeout` seconds, with their needs.

        This includes sent cells, which the scheduler would keep for ever.
        """
        kinds = {kind for kind, heap in self._waiting.items() if heap}
        kinds |= {sent.kind for sent in self._sent.values()}
        self._unfit_since = {
            kind: self._unfit_since.get(kind, now) for kind in kinds if not self._pool.fitting(kind)
        }
        unfit = []
        for kind, since in self._unfit_since.items():
            if now - since < timeout:
                continue
            names = tuple(name for name, _count in kind)
            orders = [order for order, sent in self._sent.items() if sent.kind == kind]
            orders += [order for order, _pending in self._waiting.get(kind, ())]
            for order in sorted(orders):
                pending = self.end(order)
                if pending is not None:
                    unfit.append((pending, names))
        return unfit

    def take_all(self) -> list[PendingCell]:
        """Remove and return all cells, in order."""
        pending = [sent.pending for sent in self._sent.values()] + self._all_waiting()
        self._sent.clear()
        self._waiting.clear()
        return sorted(pending, key=lambda cell: cell.order)

    def _all_waiting(self) -> list[PendingCell]:
        return [pending for heap in self._waiting.values() for _order, pending in heap]

    def _place(self, pending: PendingCell, kind: Kind) -> _SentCell:
        group = self._pool.place(kind)
        if group is not None:
            group.take(kind)
        return _SentCell(pending, kind, group)
