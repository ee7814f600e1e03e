"""A cell on its way through a run."""

from __future__ import annotations

import dataclasses

from matrix.journal import Entry
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.verify.result import CellRecord
from matrix.verify.unmade import unseen, words_of

__all__ = ["Item"]


@dataclasses.dataclass
class Item:
    """`order` is the cell's place in the queue; `base` and `key` are those of its result."""

    order: int
    planned: PlannedCell
    fallback: bool
    base: str = ""
    key: str = ""
    environment: Environment | None = None

    @property
    def id(self) -> str:
        """Return the cell's id."""
        return self.planned.cell.id

    @property
    def found(self) -> str:
        """Return the environment in words, "" where there is none."""
        return words_of(self.environment) if self.environment else ""

    def unseen(self, reason: Reason, detail: str, started: str = "") -> CellCapture:
        """Return the capture of a cell in which nothing was run, and why."""
        return unseen(self.planned, self.key, reason, detail, started)

    def record(self, entry: Entry, *, reused: bool) -> CellRecord:
        """Return the cell's end as the journal has it."""
        return CellRecord.of(entry, self.planned, reused=reused, fallback=self.fallback)
