"""Mechanisms of places: each module runs the app of a cell where its place is.

A mechanism is a module with a function `new_sandbox` of the same parameters as the one here.
"""

from __future__ import annotations

import importlib

from matrix.cells.container import ContainerSandbox
from matrix.cells.interface import Sandbox
from matrix.cells.job import CellJob, Deadline
from matrix.docker.interface import ContainerEngine
from matrix.model.environment import Image
from matrix.probes.places import find_place


def new_sandbox(job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline) -> Sandbox:
    """Return the sandbox of a cell on an engine, in the cell's place; it is not yet entered.

    Raises UsageError for an unknown place, SandboxError where its mechanism lacks something.
    """
    name = job.planned.cell.place
    if not name:
        return ContainerSandbox(job, image, engine, deadline)
    module = importlib.import_module(f"{__name__}.{find_place(name).mechanism}")
    sandbox: Sandbox = module.new_sandbox(job, image, engine, deadline)
    return sandbox
