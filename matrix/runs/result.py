"""What a run leaves behind for the reports."""

from __future__ import annotations

import dataclasses
import datetime as dt

from matrix.model.capture import CellLocation
from matrix.model.plan import Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Outcome, Verdict
from matrix.runs.journal import Entry

__all__ = ["CellRecord", "RunResult"]


@dataclasses.dataclass(frozen=True)
class CellRecord:
    """One cell of the run: `reason` is why nothing could be judged, None where it was observed.

    `reused` says that an earlier run made it; `fallback` that it ran as a further control;
    `seconds` is what it took when it was made; `where` is where it ran.
    """

    cell: str
    probes: tuple[str, ...]
    reason: Reason | None
    detail: str
    seconds: float
    reused: bool
    fallback: bool
    key: str
    started: str
    findings: tuple[Finding, ...]
    where: CellLocation | None = None

    @classmethod
    def of(cls, entry: Entry, planned: PlannedCell, *, reused: bool, fallback: bool) -> CellRecord:
        """Return the end of a planned cell as the journal has it."""
        return cls(
            cell=planned.cell.id,
            probes=planned.probes,
            reason=entry.reason,
            detail=entry.detail,
            seconds=entry.seconds,
            reused=reused,
            fallback=fallback,
            key=entry.key,
            started=entry.started,
            findings=entry.findings,
            where=entry.where,
        )

    @property
    def back_ends(self) -> tuple[str, ...]:
        """Return what its app was given to talk to, in a capture's words."""
        return tuple(dict.fromkeys(x for each in self.findings for x in each.back_ends))

    @property
    def contained(self) -> bool:
        """Return whether it is known to have run in a container."""
        return self.where is not None and bool(self.where.engine)


@dataclasses.dataclass(frozen=True)
class RunResult:
    """Everything: the plan, its cells in the order they ended, and a verdict for each claim.

    `lost` says how what ran the cells went away before all was done, "" where it did not: the
    container engine, or the cluster where `lost_to` says so.
    """

    plan: Plan
    cells: tuple[CellRecord, ...]
    verdicts: tuple[Verdict, ...]
    started: dt.datetime
    seconds: float
    interrupted: bool = False
    warnings: tuple[str, ...] = ()
    lost: str = ""
    lost_to: Reason = Reason.ENGINE_LOST

    def count(self, outcome: Outcome) -> int:
        """Return how many verdicts have this outcome."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)
