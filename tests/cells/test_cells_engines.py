"""The same real cell on the machine and in containers: the same findings."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from helpers.container_jobs import connecting, real_image

from matrix.cells.job import CellJob, Limits
from matrix.cells.run import prepare_worker, run_cell
from matrix.docker.connect import connect
from matrix.docker.engine import DockerEngine
from matrix.docker.images.catalog import ImageCatalog
from matrix.docker.labels import RunLabels, lock_run
from matrix.environments.image_trees import TreeStore
from matrix.environments.requirements import requirements_for
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import find_interpreters, interpreter_for
from matrix.judging.cells import findings_of
from matrix.model.capture import CellCapture
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.probes.registry import load_probes
from matrix.system.paths import cache_dir

pytestmark = [pytest.mark.engine, pytest.mark.cells]

AS_OF = dt.date(2025, 11, 1)
CELL = Cell("3.11", "linux_x86_64", "flask", "3.1.2", "2.21.12")


@dataclasses.dataclass(frozen=True)
class EngineSetup:
    run: RunLabels
    engine: DockerEngine
    trees: TreeStore


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineSetup]:
    with lock_run(tmp_path_factory.mktemp("runs")) as run, connect(run) as engine:
        catalog = ImageCatalog(engine, cache_dir())
        native = lambda python: catalog.find(python, "linux_x86_64")  # noqa: E731
        yield EngineSetup(run, engine, TreeStore(cache_dir(), engine=engine, native=native))


def planned(cell: Cell) -> PlannedCell:
    names = tuple(load_probes())
    return PlannedCell(cell, AS_OF, names, decisive=names, soak=True)


def job(planned: PlannedCell, python: Path, lock: tuple[str, ...]) -> CellJob:
    return CellJob(planned, "key", python, lock, tuple(load_probes().values()))


def on_the_machine(cell: Cell) -> CellCapture:
    interpreter = interpreter_for(cell.python, find_interpreters())
    requirements = requirements_for(planned(cell), ())
    environment = EnvironmentStore(cache_dir()).ensure(interpreter, requirements)
    cell_job = job(planned(cell), environment.python, environment.lock)
    with ProcessPoolExecutor(1, get_context("spawn"), prepare_worker) as pool:
        return pool.submit(run_cell, cell_job).result()


def in_a_container(cell: Cell, setup: EngineSetup, factor: float = 1) -> CellCapture:
    image = real_image(setup.engine, cell.target, cell.python)
    environment = setup.trees.ensure(image, requirements_for(planned(cell), ()))
    cell_job = dataclasses.replace(
        job(planned(cell), environment.python, environment.lock),
        image=image,
        tree=environment.tree,
        tree_key=environment.key,
        connect=connecting(setup.run),
        limits=Limits().times(factor),
    )
    return run_cell(cell_job)


# Images have no shell and no programs, so that the requests fail with the feature off, too.
WITHOUT_PROGRAMS = {
    f"{kind}-injection{blocked}" for kind in ("command", "shell") for blocked in ("", "-blocked")
}


def findings(capture: CellCapture) -> dict[tuple[str, str], tuple[object, Reason | None]]:
    assert capture.failed is None, capture.detail
    probes = load_probes()
    return {
        (item.probe, item.channel): (item.shows, item.reason)
        for item in findings_of(capture, tuple(probes), probes)
        if (item.probe, item.channel) not in {("exploit-prevention", x) for x in WITHOUT_PROGRAMS}
    }


@pytest.fixture(scope="module")
def machine() -> dict[tuple[str, str], tuple[object, Reason | None]]:
    return findings(on_the_machine(CELL))


def test_both_engines_find_the_same(
    setup: EngineSetup, machine: dict[tuple[str, str], tuple[object, Reason | None]]
) -> None:
    capture = in_a_container(CELL, setup)
    assert findings(capture) == machine
    assert capture.engine == setup.engine.info.name
    (soaked,) = (item.soak for item in capture.processes if item.purpose == "soak")
    assert soaked is not None
    assert soaked.statuses == {"200": soaked.sent}


@pytest.mark.emulation
def test_an_emulated_cpu_finds_the_same(
    setup: EngineSetup, machine: dict[tuple[str, str], tuple[object, Reason | None]]
) -> None:
    cell = dataclasses.replace(CELL, target="linux_aarch64")
    assert findings(in_a_container(cell, setup, factor=10)) == machine
