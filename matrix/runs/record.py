"""The record of a run: claims, verdicts and the cells they rest on (schema verdicts/1).

A run ends with one, and a file of verdicts is read back as one: all reports are made of it.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections.abc import Collection, Mapping

from matrix.model.capture import CellLocation
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.plan import Omission, Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.model.service import Backend
from matrix.model.verdict import Finding, Outcome, Verdict
from matrix.probes.places import shapes_of
from matrix.runs.journal import Entry


@dataclasses.dataclass(frozen=True)
class CellRecord:
    """A cell of the run: `reason` is why nothing could be judged, None where it was observed.

    A `reused` one ran in an earlier run, a `fallback` as a further control. `seconds` is the
    duration when it ran, `started` an ISO time, `where` the place where it ran.
    """

    cell: Cell
    probes: tuple[str, ...]
    reason: Reason | None
    detail: str
    seconds: float = 0.0
    reused: bool = False
    fallback: bool = False
    key: str = ""
    started: str = ""
    findings: tuple[Finding, ...] = ()
    where: CellLocation | None = None

    @classmethod
    def of(cls, entry: Entry, planned: PlannedCell, *, reused: bool, fallback: bool) -> CellRecord:
        """Return the record of a planned cell with its entry in the journal."""
        return cls(
            cell=planned.cell,
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
    def id(self) -> str:
        """Return the cell's id."""
        return self.cell.id

    @property
    def backends(self) -> tuple[Backend, ...]:
        """Return the services that its app used."""
        return tuple(dict.fromkeys(item for finding in self.findings for item in finding.backends))

    @property
    def contained(self) -> bool:
        """Return whether it is known to have run in a container."""
        return self.where is not None and bool(self.where.engine)


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """The time and circumstances of a run; `started` and `snapshot` are ISO times.

    `as_of` describes the date that dependencies are resolved as of. `lost` is how the container
    engine, or the cluster by `lost_to`, was lost before the end of the run, "" where it was not.
    """

    profile: str
    snapshot: str
    as_of: str
    started: str
    seconds: float
    interrupted: bool
    targets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lost: str = ""
    lost_to: Reason = Reason.ENGINE_LOST


@dataclasses.dataclass(frozen=True)
class Record:
    """One run; `sha256` is that of its file, "" before it is written, `name` the file's name."""

    run: RunFacts
    claims: tuple[Claim, ...]
    verdicts: tuple[Verdict, ...]
    cells: tuple[CellRecord, ...]
    omissions: tuple[Omission, ...]
    sha256: str = ""
    name: str = ""

    @classmethod
    def of(  # noqa: PLR0913 - all results of a run
        cls,
        plan: Plan,
        cells: tuple[CellRecord, ...],
        verdicts: tuple[Verdict, ...],
        started: dt.datetime,
        seconds: float,
        *,
        interrupted: bool = False,
        warnings: tuple[str, ...] = (),
        lost: str = "",
        lost_to: Reason = Reason.ENGINE_LOST,
    ) -> Record:
        """Return the record of a run of `plan`, with its cells in the order of their ends."""
        run = RunFacts(
            profile=plan.profile,
            snapshot=plan.snapshot.isoformat(),
            as_of="",
            started=started.isoformat(),
            seconds=seconds,
            interrupted=interrupted,
            targets=plan.targets,
            warnings=warnings,
            lost=lost,
            lost_to=lost_to,
        )
        return cls(run, plan.claims, verdicts, cells, plan.omissions)

    def dated(self, as_of: str) -> Record:
        """Return the record with a description of the date that dependencies are resolved as of."""
        return dataclasses.replace(self, run=dataclasses.replace(self.run, as_of=as_of))

    @functools.cached_property
    def claim_by_id(self) -> Mapping[str, Claim]:
        """Return the claims by id."""
        return {claim.id: claim for claim in self.claims}

    @functools.cached_property
    def verdict_by_claim(self) -> Mapping[str, Verdict]:
        """Return the verdicts by claim."""
        return {verdict.claim: verdict for verdict in self.verdicts}

    @functools.cached_property
    def cell_records(self) -> Mapping[Cell, CellRecord]:
        """Return the records of cells by cell."""
        return {record.cell: record for record in self.cells}

    def only(self, document: str) -> Record:
        """Return the same run, restricted to the claims of one document."""
        claims = tuple(claim for claim in self.claims if claim.document == document)
        ids = {claim.id for claim in claims}
        return dataclasses.replace(
            self,
            claims=claims,
            verdicts=tuple(verdict for verdict in self.verdicts if verdict.claim in ids),
            omissions=tuple(omission for omission in self.omissions if omission.claim in ids),
        )

    def count(self, outcome: Outcome) -> int:
        """Return the number of verdicts with this outcome."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)

    def shaped(self, accepted: Collection[str] = ()) -> int:
        """Return how many confirmed verdicts rest on what stands in for a deployment.

        Those of the places `accepted` do not count.
        """
        return sum(
            bool(shapes_of(cell for cell in verdict.cells if cell.place not in accepted))
            for verdict in self.verdicts
            if verdict.outcome is Outcome.CONFIRMED
        )
