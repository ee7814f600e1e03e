"""Run cells: real processes of the sample apps, their agents, and captures of all they did."""

from matrix.cells.job import CellJob, Limits
from matrix.cells.living import kill_all
from matrix.cells.pool import worker_initializer
from matrix.cells.run import run_cell
from matrix.network import isolation

__all__ = ["CellJob", "Limits", "isolation", "kill_all", "run_cell", "worker_initializer"]
