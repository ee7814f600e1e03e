"""A real cell of one release, with all probes, run by a worker as those of a run are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from matrix.cells.job import CellJob
from matrix.cells.run import prepare_worker, run_cell
from matrix.environments.requirements import requirements_for
from matrix.environments.store import EnvironmentStore
from matrix.interpreters.discovery import find_interpreters, interpreter_for
from matrix.model.capture import CellCapture
from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.probes.registry import load_probes
from matrix.system.paths import cache_dir


def run_real_cell(
    cell: Cell, as_of: dt.date, *, soak: bool = False, prepare: Callable[[], None] = prepare_worker
) -> CellCapture:
    """Run the cell in a worker that `prepare` prepares, in the environment as of the date."""
    probes = load_probes()
    planned = PlannedCell(cell, as_of, tuple(probes), soak=soak)
    interpreter = interpreter_for(cell.python, find_interpreters())
    environment = EnvironmentStore(cache_dir()).ensure(interpreter, requirements_for(planned, ()))
    job = CellJob(planned, "key", environment.python, environment.lock, tuple(probes.values()))
    with ProcessPoolExecutor(1, get_context("spawn"), prepare) as pool:
        return pool.submit(run_cell, job).result()
