"""Which claims a cell belongs to, which claims are settled, and which controls they still need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from matrix.judging import FindingTable, judge, waits_for
from matrix.model.claim import Claim
from matrix.model.plan import Part, Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.model.verdict import Verdict

__all__ = ["Progress"]


class Progress:
    """Follows the plan as cells end; pure bookkeeping, one thread."""

    def __init__(self, plan: Plan) -> None:
        self.known = FindingTable()
        self._plan = plan
        self._parts: dict[str, list[Part]] = defaultdict(list)
        self._claims_of: dict[tuple[str, str], set[str]] = defaultdict(set)
        self._claims: dict[str, Claim] = {claim.id: claim for claim in plan.claims}
        self._expected = {(item.cell.id, probe) for item in plan.cells for probe in item.probes}
        self._fallbacks = {
            (item.cell.id, probe): item for item in plan.fallbacks for probe in item.probes
        }
        self._ended: set[tuple[str, str]] = set()
        self._reached: dict[str, Verdict] = {}
        for part in plan.parts:
            self._parts[part.claim].append(part)
            for cell in part.cells:
                self._claims_of[cell, part.probe].add(part.claim)

    def end(self, planned: PlannedCell) -> list[str]:
        """Note that a cell has ended (its findings are in); return the claims concerned."""
        claims: dict[str, None] = {}
        for probe in planned.probes:
            self._ended.add((planned.cell.id, probe))
            claims.update(dict.fromkeys(sorted(self._claims_of[planned.cell.id, probe])))
        return list(claims)

    def controls_for(self, claim: str) -> Iterator[PlannedCell]:
        """Yield the fallback controls that the claim needs now; each is given out once."""
        for part in self._parts[claim]:
            while (cell := waits_for(part, self.known, self._ended)) is not None:
                wanted = (cell, part.probe)
                if wanted in self._expected:
                    break
                fallback = self._fallbacks.get(wanted)
                if fallback is None:
                    self._ended.add(wanted)  # nobody runs it: the next one is asked for
                    continue
                self._expected.update((cell, probe) for probe in fallback.probes)
                yield fallback
                break

    def reach(self, claims: Iterable[str]) -> Iterator[Verdict]:
        """Yield the verdicts of those claims whose cells are all in; each is reached once."""
        ready = [
            self._claims[claim]
            for claim in claims
            if claim in self._claims and claim not in self._reached and self._settled(claim)
        ]
        if not ready:
            return
        for verdict in judge(self._plan, self.known, ready):
            if self._may_change(verdict):
                continue
            self._reached[verdict.claim] = verdict
            yield verdict

    def finish(self) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
        """Return all verdicts, and those among them that had not been reached before."""
        verdicts = judge(self._plan, self.known)
        late = tuple(item for item in verdicts if item.claim not in self._reached)
        self._reached.update((item.claim, item) for item in late)
        return verdicts, late

    def _settled(self, claim: str) -> bool:
        return all(
            (cell, part.probe) in self._ended
            for part in self._parts[claim]
            for cell in part.cells
            if (cell, part.probe) in self._expected
        )

    def _may_change(self, verdict: Verdict) -> bool:
        """Return whether a cell of another claim can still answer what this one left open.

        A part that holds without the evidence needs to see the probe succeed anywhere.
        """
        if verdict.reason is not Reason.CONTROL_FAILED:
            return False
        return any(part.holds_without for part in self._parts[verdict.claim])
