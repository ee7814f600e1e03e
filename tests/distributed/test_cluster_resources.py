"""The resources of workers, the needs of cells, and the order in which cells are sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

from helpers.cluster_fakes import LINUX, VERSION, offer
from helpers.run_fakes import DAY, plan
from hypothesis import given
from hypothesis import strategies as st

from matrix.distributed.dask.interface import CellTask
from matrix.distributed.dask.queue import PendingCell, PendingQueue
from matrix.distributed.dask.resources import (
    WorkerOffer,
    can_run,
    cell_needs,
    cluster_targets,
    contained_cells,
    describe_workers,
    resource_sets,
    worker_resources,
)
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.planning.locations import Targets
from matrix.runs.setup import RunOptions
from matrix.system.source_files import digest_files

EMULATING = Targets("docker", ("linux_x86_64", "linux_aarch64"), frozenset({"linux_aarch64"}))


def cell(python: str = "3.9", target: str = "linux_x86_64") -> PlannedCell:
    return PlannedCell(Cell(python, target, "django", "3.2", "1.9.0"), DAY, ())


def needs(
    planned: PlannedCell, *offers: WorkerOffer, engine: str = "auto", contained: bool = False
) -> set[str]:
    available = resource_sets(offers, VERSION)
    return set(cell_needs(planned, VERSION, available, engine=engine, contained=contained))


def test_a_worker_offers_its_targets_its_engine_and_its_cpythons() -> None:
    assert worker_resources(EMULATING, {"linux_x86_64": ("3.9", "2.7")}, 8, 2, VERSION) == {
        "compat-matrix 0123456789ab": 8,
        "linux/amd64": 8,
        "cp2.7 on linux/amd64": 8,
        "cp3.9 on linux/amd64": 8,
        "linux/arm64": 2,
        "docker": 8,
    }
    assert worker_resources(LINUX, {}, 1, 2, VERSION)["local"] == 1


def test_a_cell_needs_its_target_and_a_cpython_that_a_worker_has() -> None:
    ours = {"compat-matrix 0123456789ab", "linux/amd64"}
    assert needs(cell(), offer()) == {*ours, "cp3.9 on linux/amd64"}
    assert needs(cell("3.7"), offer()) == ours
    assert needs(cell("3.7"), offer(), offer(2, pythons=["3.7"])) == {*ours, "cp3.7 on linux/amd64"}
    assert needs(cell("3.7"), offer(), offer(2, pythons=["3.7"], version="other")) == ours
    assert needs(cell(), offer(), engine="local") == {*ours, "local", "cp3.9 on linux/amd64"}


def test_a_cell_of_a_claim_about_containers_prefers_a_container() -> None:
    docker = offer(2, where=dataclasses.replace(LINUX, engine="docker"))
    assert "docker" in needs(cell(), offer(), docker, contained=True)
    assert "docker" not in needs(cell(), offer(), docker)
    assert "docker" not in needs(cell(), offer(), contained=True)
    contained = plan()
    parts = tuple(dataclasses.replace(part, contained=True) for part in contained.parts)
    assert contained_cells(contained) == frozenset()
    assert contained_cells(dataclasses.replace(contained, parts=parts)) == {
        cell for part in parts for cell in part.cells
    }


def test_a_worker_of_something_else_runs_nothing() -> None:
    foreign = WorkerOffer("tcp://192.0.2.7:1", 64, {"GPU": 1})
    needed = dict.fromkeys(needs(cell(), foreign), 1.0)
    assert not can_run(foreign, needed)
    assert foreign.version == ""
    assert can_run(offer(), needed)


def test_targets_and_description_of_workers() -> None:
    arm = offer(2, where=EMULATING)
    assert cluster_targets([arm, offer()], "auto", ["arm64"]).targets == ("linux_aarch64",)
    assert describe_workers([offer(jobs=3), arm]) == (
        "5 at a time on 2 workers of a cluster: linux/amd64 (5), linux/arm64 (1)"
    )


def test_a_version_is_the_same_with_other_ends_of_lines(tmp_path: Path) -> None:
    unix, windows, changed = (tmp_path / name / "matrix" for name in ("unix", "windows", "changed"))
    for folder, content in ((unix, b"a\nb\n"), (windows, b"a\r\nb\r\n"), (changed, b"a\nc\n")):
        (folder / "__pycache__").mkdir(parents=True)
        (folder / "module.py").write_bytes(content)
        (folder / "__pycache__" / "module.pyc").write_bytes(str(folder).encode())
    assert digest_files((unix,)) == digest_files((windows,)) != digest_files((changed,))


KINDS = [("3.9", "linux_x86_64"), ("3.7", "linux_x86_64"), ("3.9", "linux_aarch64")]
OFFERS = [
    offer(1, jobs=1),
    offer(2, jobs=3, pythons=["3.7", "3.9"]),
    offer(3, jobs=2, where=EMULATING),
]


def requeued(cells: PendingQueue, needs: Callable[[PlannedCell], dict[str, float]]) -> PendingQueue:
    """Return a queue with all cells waiting, as after a restart of the scheduler."""
    queue = PendingQueue()
    for pending in cells.take_all():
        queue.put(pending, needs(pending.task.planned))
    return queue


@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=12),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("end"), st.integers(0, 11)),
            st.tuples(st.just("offers"), st.sets(st.integers(0, 2))),
            st.tuples(st.just("again"), st.none()),
        ),
        max_size=30,
    ),
)
def test_every_cell_ends_once_and_no_worker_gets_more_than_it_runs(
    kinds: list[tuple[str, str]], steps: list[tuple[str, object]]
) -> None:
    cells = PendingQueue()
    offers: Sequence[WorkerOffer] = ()

    def current_needs(planned: PlannedCell) -> dict[str, float]:
        available = resource_sets(offers, VERSION)
        return cell_needs(planned, VERSION, available, engine="auto", contained=False)

    for order, (python, target) in enumerate(kinds):
        task = CellTask("run", VERSION, cell(python, target), frozenset(), RunOptions(jobs=1))
        cells.put(PendingCell(order, task, Future()), current_needs(task.planned))
    sent: set[int] = set()
    ended: list[int] = []
    for step, value in [*steps, ("offers", {0, 1, 2}), ("again", None)]:
        if step == "end" and cells.end(value) is not None:  # type: ignore[arg-type]
            ended.append(value)  # type: ignore[arg-type]
            sent.discard(value)
        elif step == "offers":
            offers = [OFFERS[number] for number in value]  # type: ignore[attr-defined]
            cells.offer(offers)
            cells.update_needs(current_needs)
        elif step == "again":
            cells, sent = requeued(cells, current_needs), set()
            cells.offer(offers)
        before = len(sent)
        for pending, needed in cells.take():
            assert pending.order not in sent
            assert any(can_run(worker, needed) for worker in offers)
            sent.add(pending.order)
        assert len(sent) <= max(before, sum(worker.slots for worker in offers))
    while sent:
        order = sent.pop()
        assert cells.end(order) is not None
        ended.append(order)
        for pending, _needs in cells.take():
            sent.add(pending.order)
    assert sorted(ended) == list(range(len(kinds)))
    assert len(cells) == 0
