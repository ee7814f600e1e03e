"""A run as it was recorded (schema verdicts/1): claims, verdicts, and the cells they rest on."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from matrix.model.capture import CellLocation
from matrix.model.claim import Claim
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Outcome, Verdict

__all__ = ["CellLine", "LeftOutLine", "Record", "RunFacts"]


@dataclasses.dataclass(frozen=True)
class CellLine:
    """A cell of the run; the fields mean what they do in `matrix.verify.result.CellRecord`."""

    id: str
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
    back_ends: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class LeftOutLine:
    """What of a claim was not run, and why."""

    claim: str
    what: str
    reason: Reason
    detail: str


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """When and how it was run. `started` and `snapshot` are ISO times, `seconds` what it took."""

    profile: str
    snapshot: str
    as_of: str
    started: str
    seconds: float
    interrupted: bool
    targets: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    lost: str = ""


@dataclasses.dataclass(frozen=True)
class Record:
    """One recorded run. `sha256` is that of the file, `name` what the run is called here."""

    run: RunFacts
    claims: tuple[Claim, ...]
    verdicts: tuple[Verdict, ...]
    cells: tuple[CellLine, ...]
    left_out: tuple[LeftOutLine, ...]
    sha256: str
    name: str = ""

    @functools.cached_property
    def claim_by_id(self) -> Mapping[str, Claim]:
        """Return the claims by id."""
        return {claim.id: claim for claim in self.claims}

    @functools.cached_property
    def verdict_by_claim(self) -> Mapping[str, Verdict]:
        """Return the verdicts by claim."""
        return {verdict.claim: verdict for verdict in self.verdicts}

    @functools.cached_property
    def cell_by_id(self) -> Mapping[str, CellLine]:
        """Return the cells by id."""
        return {cell.id: cell for cell in self.cells}

    def only(self, document: str) -> Record:
        """Return the same run, as if it had been asked of one document only."""
        claims = tuple(claim for claim in self.claims if claim.document == document)
        ids = {claim.id for claim in claims}
        return dataclasses.replace(
            self,
            claims=claims,
            verdicts=tuple(verdict for verdict in self.verdicts if verdict.claim in ids),
            left_out=tuple(line for line in self.left_out if line.claim in ids),
        )

    def count(self, outcome: Outcome) -> int:
        """Return how many verdicts have this outcome."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)
