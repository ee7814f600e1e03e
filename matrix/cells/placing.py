"""Which place a cell has."""

from __future__ import annotations

from matrix.cells.clock import Deadline
from matrix.cells.job import CellJob
from matrix.cells.machine import MachinePlace
from matrix.cells.place import Place

__all__ = ["place_of"]


def place_of(job: CellJob, deadline: Deadline) -> Place:  # noqa: ARG001 - for containers
    """Return the place of the cell, not yet entered."""
    return MachinePlace(job)
