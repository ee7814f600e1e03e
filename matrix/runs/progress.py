"""Which claims a cell belongs to, which claims are settled, and which controls they still need."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from matrix.judging.claims import judge
from matrix.judging.fallbacks import EndedProbe, next_control
from matrix.judging.findings import FindingTable
from matrix.model.claim import Claim
from matrix.model.plan import Omission, Part, Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.model.verdict import Verdict

__all__ = ["Progress"]

# A cell and a probe that runs in it.
_Answer = EndedProbe


class Progress:
    """Follows the plan as cells end; pure bookkeeping, one thread.

    Of 100,000 cells each touches only what it is about: what a claim waits for is counted, and a
    part is looked at again when a cell of its own has ended.
    """

    def __init__(self, plan: Plan) -> None:
        self.known = FindingTable()
        self._plan = plan
        self._claims: dict[str, Claim] = {claim.id: claim for claim in plan.claims}
        self._parts: dict[str, list[Part]] = defaultdict(list)
        self._left_out: dict[str, list[Omission]] = defaultdict(list)
        # The claims that an answer counts for, and the places of their parts.
        self._asked_by: dict[_Answer, dict[str, list[int]]] = defaultdict(dict)
        self._fallbacks = {
            (item.cell, probe): item for item in plan.fallbacks for probe in item.probes
        }
        self._expected: set[_Answer] = set()
        self._ended: set[_Answer] = set()
        self._open: Counter[str] = Counter()
        self._changed: dict[str, set[int]] = defaultdict(set)
        self._reached: dict[str, Verdict] = {}
        self._static = {item.claim: item for item in plan.static}
        for item in plan.omissions:
            self._left_out[item.claim].append(item)
        for part in plan.parts:
            place = len(self._parts[part.claim])
            self._parts[part.claim].append(part)
            for cell in dict.fromkeys(part.cells):
                self._asked_by[cell, part.probe].setdefault(part.claim, []).append(place)
        for planned in plan.cells:
            self._expect(planned)

    def end(self, planned: PlannedCell) -> list[str]:
        """Note that a cell has ended (its findings are in); return the claims concerned."""
        claims: dict[str, None] = {}
        for probe in planned.probes:
            answer = planned.cell, probe
            self._end(answer)
            asked_by = self._asked_by.get(answer, {})
            for claim, places in asked_by.items():
                self._changed[claim].update(places)
            claims.update(dict.fromkeys(sorted(asked_by)))
        return list(claims)

    def controls_for(self, claim: str) -> Iterator[PlannedCell]:
        """Yield the fallback controls that the claim needs now; each is given out once."""
        changed = self._changed[claim]
        for place in sorted(changed):
            changed.discard(place)
            part = self._parts[claim][place]
            while (cell := next_control(part, self.known, self._ended)) is not None:
                wanted = (cell, part.probe)
                if wanted in self._expected:
                    break
                fallback = self._fallbacks.get(wanted)
                if fallback is None:
                    self._end(wanted)  # nobody runs it: the next one is asked for
                    continue
                self._expect(fallback)
                yield fallback
                break

    def reach(self, claims: Iterable[str]) -> Iterator[Verdict]:
        """Yield the verdicts of those claims whose cells are all in; each is reached once."""
        ready = [
            self._claims[claim]
            for claim in claims
            if claim in self._claims and claim not in self._reached and not self._open[claim]
        ]
        if not ready:
            return
        for verdict in judge(self._about(ready), self.known):
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

    def _expect(self, planned: PlannedCell) -> None:
        """Note that a cell will end: all claims that it counts for wait for it."""
        for probe in planned.probes:
            answer = planned.cell, probe
            if answer not in self._expected:
                self._expected.add(answer)
                if answer not in self._ended:
                    self._open.update(self._asked_by.get(answer, {}).keys())

    def _end(self, answer: _Answer) -> None:
        if answer not in self._ended:
            self._ended.add(answer)
            if answer in self._expected:
                self._open.subtract(self._asked_by.get(answer, {}).keys())

    def _about(self, claims: Iterable[Claim]) -> Plan:
        """Return of the plan what judges these claims."""
        some = tuple(claims)
        ids = {claim.id for claim in some}
        return dataclasses.replace(
            self._plan,
            claims=some,
            parts=tuple(part for claim in ids for part in self._parts.get(claim, ())),
            omissions=tuple(item for claim in ids for item in self._left_out.get(claim, ())),
            static=tuple(self._static[claim] for claim in ids if claim in self._static),
        )

    def _may_change(self, verdict: Verdict) -> bool:
        """Return whether a cell of another claim can still answer what this one left open.

        A part that holds without the evidence needs to see the probe succeed anywhere.
        """
        if verdict.reason is not Reason.CONTROL_FAILED:
            return False
        return any(part.expects_absent for part in self._parts[verdict.claim])
