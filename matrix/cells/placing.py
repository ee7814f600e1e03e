"""Which place a cell has."""

from __future__ import annotations

from matrix.cells.clock import Deadline
from matrix.cells.container import ContainerPlace
from matrix.cells.job import CellJob
from matrix.cells.machine import MachinePlace
from matrix.cells.place import Place, PlaceError
from matrix.containers.seam import ContainerError
from matrix.errors import EngineUnavailableError
from matrix.model.reason import Reason

__all__ = ["place_of"]


def place_of(job: CellJob, deadline: Deadline) -> Place:
    """Return the place of the cell, not yet entered; raise PlaceError where the engine is gone."""
    if job.image is None:
        return MachinePlace(job)
    if job.connect is None:
        raise PlaceError(Reason.INTERNAL_ERROR, "a cell with an image, and no engine to ask")
    try:
        engine = job.connect()
    except EngineUnavailableError as error:
        raise PlaceError(Reason.ENGINE_LOST, error.message) from error
    except ContainerError as error:
        raise PlaceError(Reason.ENGINE_LOST, str(error)) from error
    return ContainerPlace(job, job.image, engine, deadline)
