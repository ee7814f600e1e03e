"""A cell on its way through a run."""

from __future__ import annotations

import dataclasses

from matrix.journal import Entry
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import PlannedCell
from matrix.model.reason import Reason
from matrix.verify.result import CellRecord

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
        """Return the key of the environment, with image and services, where there are such.

        What the image is given counts, too: on another engine the same one is emulated, or is not,
        and what an emulated one has no time for does not tell of the other.
        """
        if self.environment is None:
            return ""
        words = [self.environment.key]
        if image := self.environment.image:
            words += [
                f"in {image.digest}",
                *(f"{name}={value}" for name, value in image.environment),
            ]
        return " ".join([*words, *(f"with {each}" for each in self.environment.services)])

    def unseen(self, reason: Reason, detail: str, started: str = "") -> CellCapture:
        """Return the capture of a cell in which nothing was run, and why."""
        return CellCapture(
            cell=self.id,
            key=self.key,
            identity=None,
            lock=(),
            processes=(),
            started=started,
            seconds=0.0,
            failed=reason,
            detail=detail,
        )

    def record(self, entry: Entry, *, reused: bool) -> CellRecord:
        """Return the cell's end as the journal has it."""
        return CellRecord(
            cell=self.id,
            probes=self.planned.probes,
            reason=entry.reason,
            detail=entry.detail,
            seconds=entry.seconds,
            reused=reused,
            fallback=self.fallback,
            key=entry.key,
            started=entry.started,
            findings=entry.findings,
            where=entry.where,
        )
