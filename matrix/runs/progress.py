"""Progress through a plan: the claims of a cell, the claims that are settled, further controls."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from matrix.judging.claims import judge
from matrix.judging.fallbacks import EndedProbe, next_control, next_count
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.model.cell import Cell
from matrix.model.claim import Claim
from matrix.model.plan import Omission, Part, Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, Verdict

# A cell and a probe that runs in it, ended or not.
_CellProbe = EndedProbe


class Progress:
    """The state of a plan while its cells end; used by one thread.

    A cell must cost little among 100,000: the cells that a claim waits for are counted, and a part
    is looked at again only when one of its own cells has ended.
    """

    def __init__(self, plan: Plan) -> None:
        self.findings = FindingTable()
        self._plan = plan
        self._claims: dict[str, Claim] = {claim.id: claim for claim in plan.claims}
        self._parts: dict[str, list[Part]] = defaultdict(list)
        self._omissions: dict[str, list[Omission]] = defaultdict(list)
        # The claims that rest on a cell's probe, each with the indexes of its parts that do.
        self._claims_of: dict[_CellProbe, dict[str, list[int]]] = defaultdict(dict)
        self._fallbacks = {
            (planned.cell, probe): planned for planned in plan.fallbacks for probe in planned.probes
        }
        self._planned = {
            (planned.cell, probe): planned
            for planned in (*plan.fallbacks, *plan.cells)
            for probe in planned.probes
        }
        # The cells in which processes are counted, with the subject; and those that have ended.
        self._counting: set[tuple[Cell, str]] = set()
        self._counted: set[tuple[Cell, str]] = set()
        self._expected: set[_CellProbe] = set()
        self._ended: set[_CellProbe] = set()
        self._open: Counter[str] = Counter()
        self._changed: dict[str, set[int]] = defaultdict(set)
        self._reached: dict[str, Verdict] = {}
        # Claims that a part has refuted, whatever else their cells will show.
        self._refuted: set[str] = set()
        self._static = {evidence.claim: evidence for evidence in plan.static}
        for omission in plan.omissions:
            self._omissions[omission.claim].append(omission)
        for part in plan.parts:
            index = len(self._parts[part.claim])
            self._parts[part.claim].append(part)
            for cell in dict.fromkeys(part.deciding):
                self._claims_of[cell, part.probe].setdefault(part.claim, []).append(index)
        for planned in plan.cells:
            self._expect(planned)

    def end(self, planned: PlannedCell) -> list[str]:
        """Note that a cell has ended, whose findings are added; return the claims that rest on it.

        The claims of each probe are sorted.
        """
        claims: dict[str, None] = {}
        if planned.count is not None:
            self._counted.add((planned.cell, planned.count.name))
            self._open.subtract(self._claims_counted_in(planned))
        for probe in planned.probes:
            cell_probe = planned.cell, probe
            if planned.count is None:
                self._end(cell_probe)
            claims_of = self._claims_of.get(cell_probe, {})
            for claim, indexes in claims_of.items():
                self._changed[claim].update(indexes)
            claims.update(dict.fromkeys(sorted(claims_of)))
        return list(claims)

    def controls_for(self, claim: str) -> Iterator[PlannedCell]:
        """Yield the fallback controls that the claim needs now; each is yielded once in a run."""
        changed = self._changed[claim]
        for index in sorted(changed):
            changed.discard(index)
            part = self._parts[claim][index]
            while (cell := next_control(part, self.findings, self._ended)) is not None:
                control = (cell, part.probe)
                if control in self._expected:
                    break
                fallback = self._fallbacks.get(control)
                if fallback is None:
                    self._end(control)  # nobody runs it: try the next one
                    continue
                self._expect(fallback)
                yield fallback
                break
            else:
                yield from self._counts_for(part)
                if self._is_refuted(part):
                    self._refuted.add(claim)

    def refutes(self, claims: Iterable[str]) -> bool:
        """Return whether one of the claims is refuted, whatever its other cells will show."""
        return any(claim in self._refuted for claim in claims)

    def is_needed(self, planned: PlannedCell) -> bool:
        """Return whether a cell can still change the outcome of a claim."""
        return any(
            claim not in self._refuted and claim not in self._reached
            for probe in planned.probes
            for claim in self._claims_of.get((planned.cell, probe), ())
        )

    def _is_refuted(self, part: Part) -> bool:
        """Return whether a part is refuted, and no cell that it waits for can change that."""
        own = ((cell, part.probe) for cell in part.deciding)
        if any(each in self._expected and each not in self._ended for each in own):
            return False
        return judge_part(part, self.findings).outcome is Outcome.REFUTED

    def _counts_for(self, part: Part) -> Iterator[PlannedCell]:
        """Yield the cell in which processes must be counted for a part, once in a run."""
        while (count := next_count(part, self.findings, self._counted)) is not None:
            cell, subject = count
            if (cell, subject.name) in self._counting:
                return  # another claim waits for it, too
            self._counting.add((cell, subject.name))
            # With all probes of the cell: a soak is counted for all of them at once.
            planned = self._planned.get((cell, part.probe))
            if planned is None:
                self._counted.add((cell, subject.name))  # nobody runs it: try the next one
                continue
            planned = planned.counting(subject)
            self._open.update(self._claims_counted_in(planned))
            yield planned
            return

    def _claims_counted_in(self, planned: PlannedCell) -> list[str]:
        """Return the claims that rest on a cell, each once."""
        return list(
            dict.fromkeys(
                claim
                for probe in planned.probes
                for claim in self._claims_of.get((planned.cell, probe), ())
            )
        )

    def reach(self, claims: Iterable[str]) -> Iterator[Verdict]:
        """Yield the verdicts of those claims whose cells have all ended; each is yielded once."""
        ready = [
            self._claims[claim]
            for claim in claims
            if claim in self._claims and claim not in self._reached and not self._open[claim]
        ]
        if not ready:
            return
        for verdict in judge(self._restricted(ready), self.findings):
            if self._may_change(verdict):
                continue
            self._reached[verdict.claim] = verdict
            yield verdict

    def finish(self) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
        """Return all verdicts, and those among them that had not been reached before."""
        verdicts = judge(self._plan, self.findings)
        late = tuple(verdict for verdict in verdicts if verdict.claim not in self._reached)
        self._reached.update((verdict.claim, verdict) for verdict in late)
        return verdicts, late

    def _expect(self, planned: PlannedCell) -> None:
        """Note that a cell will end: all claims that rest on it wait for it."""
        for probe in planned.probes:
            cell_probe = planned.cell, probe
            if cell_probe not in self._expected:
                self._expected.add(cell_probe)
                if cell_probe not in self._ended:
                    self._open.update(self._claims_of.get(cell_probe, {}).keys())

    def _end(self, cell_probe: _CellProbe) -> None:
        if cell_probe not in self._ended:
            self._ended.add(cell_probe)
            if cell_probe in self._expected:
                self._open.subtract(self._claims_of.get(cell_probe, {}).keys())

    def _restricted(self, claims: Iterable[Claim]) -> Plan:
        """Return the plan with all that is needed to judge these claims, and no others."""
        claims = tuple(claims)
        ids = {claim.id for claim in claims}
        return dataclasses.replace(
            self._plan,
            claims=claims,
            parts=tuple(part for claim in ids for part in self._parts.get(claim, ())),
            omissions=tuple(item for claim in ids for item in self._omissions.get(claim, ())),
            static=tuple(self._static[claim] for claim in ids if claim in self._static),
        )

    def _may_change(self, verdict: Verdict) -> bool:
        """Return whether a cell of another claim can still answer this one.

        A part that expects absence needs the probe to show something in any cell.
        """
        if verdict.reason is not Reason.CONTROL_FAILED:
            return False
        return any(part.expects_absent for part in self._parts[verdict.claim])
