"""Number and order of the cells that are sent to workers for several targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future

from helpers.cluster_fakes import VERSION, offer
from helpers.run_fakes import DAY
from hypothesis import given
from hypothesis import strategies as st

from matrix.distributed.dask.interface import CellTask
from matrix.distributed.dask.queue import PendingCell, PendingQueue
from matrix.distributed.dask.resources import WorkerOffer, cell_needs, resource_sets
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.planning.locations import Targets
from matrix.runs.setup import RunOptions

X86, I686, ARM = "linux_x86_64", "linux_i686", "linux_aarch64"
INTEL, NEOVERSE = Targets("docker", (X86, I686)), Targets("docker", (ARM,))
EMULATING = Targets("docker", (X86, I686, ARM), frozenset({ARM}))


def queue_of(offers: Sequence[WorkerOffer], targets: Sequence[str]) -> PendingQueue:
    """Return a queue in which cells for these targets wait, in this order."""
    cells = PendingQueue()
    cells.offer(offers)
    available = resource_sets(offers, VERSION)
    for order, target in enumerate(targets):
        planned = PlannedCell(Cell("3.9", target, "django", "3.2", "1.9.0"), DAY, ())
        task = CellTask("run", VERSION, planned, frozenset(), RunOptions(jobs=1))
        needs = cell_needs(planned, VERSION, available, engine="auto", contained=False)
        cells.put(PendingCell(order, task, Future()), needs)
    return cells


def taken(cells: PendingQueue) -> list[str]:
    return [pending.task.planned.cell.target for pending, _needs in cells.take()]


def test_a_machine_for_two_targets_takes_no_slots_of_others() -> None:
    offers = [offer(1, 1, INTEL), offer(2, 1, NEOVERSE)]
    cells = queue_of(offers, [X86, X86, I686, ARM, ARM])
    assert taken(cells) == [X86, ARM]
    cells.end(0)
    assert taken(cells) == [X86]
    cells.end(3)
    assert taken(cells) == [ARM]


def test_a_cell_is_counted_in_the_least_capable_group() -> None:
    offers = [offer(1, 1, EMULATING), offer(2, 1, NEOVERSE)]
    assert taken(queue_of(offers, [ARM, X86])) == [ARM, X86]
    assert taken(queue_of(offers, [ARM, ARM, X86])) == [ARM, ARM]


def test_slots_follow_workers_that_come_and_go() -> None:
    intel, neoverse = offer(1, 1, INTEL), offer(2, 1, NEOVERSE)
    cells = queue_of([intel], [X86, X86, I686, ARM])
    assert taken(cells) == [X86]
    cells.offer([intel, neoverse])
    assert taken(cells) == [ARM]
    cells.offer([neoverse])
    cells.end(3)
    assert taken(cells) == []
    cells.offer([intel, offer(3, 1, INTEL), neoverse])
    assert taken(cells) == [X86]


@given(
    st.lists(st.sampled_from([X86, I686, ARM]), max_size=20),
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(st.integers(0, 19), max_size=20),
)
def test_no_machine_is_idle_while_a_cell_fits_it(
    targets: list[str], intel: int, neoverse: int, ends: list[int]
) -> None:
    offers = [offer(number, 2, INTEL) for number in range(intel)]
    offers += [offer(10 + number, 1, NEOVERSE) for number in range(neoverse)]
    places = [(INTEL, 2 * intel), (NEOVERSE, neoverse)]
    cells = queue_of(offers, targets)
    waiting = list(enumerate(targets))
    running: dict[int, str] = {}
    for step in [None, *ends]:
        if step is not None and step in running:
            cells.end(step)
            del running[step]
        for pending, _needs in cells.take():
            target = pending.task.planned.cell.target
            first = next(item for item in waiting if item[1] == target)
            assert pending.order == first[0]
            waiting.remove(first)
            running[pending.order] = target
        for where, count in places:
            at_workers = [target for target in running.values() if target in where.targets]
            left = Counter(target for _order, target in waiting if target in where.targets)
            assert len(at_workers) == count or (len(at_workers) < count and not left)
