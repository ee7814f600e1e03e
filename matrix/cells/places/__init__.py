"""Mechanisms of places: each module runs the app of a cell where its place is.

A mechanism is a module with a function `new_sandbox` of the same parameters as the one here. One
that runs whole cells elsewhere has `run_elsewhere` and `seconds_to_start`, too.
"""

from __future__ import annotations

import importlib
from typing import Any

from matrix.cells.container import ContainerSandbox
from matrix.cells.interface import Sandbox
from matrix.cells.job import CellJob, Deadline
from matrix.docker.interface import ContainerEngine
from matrix.kubernetes.interface import RunNamespace
from matrix.model.capture import CellCapture
from matrix.model.environment import Image
from matrix.probes.places import find_place


def new_sandbox(job: CellJob, image: Image, engine: ContainerEngine, deadline: Deadline) -> Sandbox:
    """Return the sandbox of a cell on an engine, in the cell's place; it is not yet entered.

    Raises UsageError for an unknown place, SandboxError where its mechanism lacks something.
    """
    if not job.planned.cell.place:
        return ContainerSandbox(job, image, engine, deadline)
    sandbox: Sandbox = _mechanism(job).new_sandbox(job, image, engine, deadline)
    return sandbox


def run_elsewhere(job: CellJob, namespace: RunNamespace) -> CellCapture:
    """Run a whole cell on a cluster, in the namespace of the run, and return its capture.

    Raises UsageError for an unknown place, SandboxError where it cannot be run.
    """
    capture: CellCapture = _mechanism(job).run_elsewhere(job, namespace)
    return capture


def seconds_to_start(job: CellJob) -> float:
    """Return how long a cell may take until it runs, beyond the limits of its job."""
    return 0.0 if job.cluster is None else float(_mechanism(job).seconds_to_start(job))


def _mechanism(job: CellJob) -> Any:  # noqa: ANN401 - a module
    return importlib.import_module(f"{__name__}.{find_place(job.planned.cell.place).mechanism}")
