"""The books of a run are kept so that a cell costs little, and say what slow ones say."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from helpers.run_fakes import CHANNEL, DAY, cell, claim, plan
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.judging.claims import judge
from matrix.judging.fallbacks import next_control
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.environment import Environment, Interpreter
from matrix.model.fact import text_facts
from matrix.model.plan import Omission, Part, Plan, PlannedCell, StaticEvidence
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Verdict
from matrix.runs.progress import Progress
from matrix.runs.ready_queue import QueuedCell, ReadyQueue

CELLS = [cell(f"1.{number}.0") for number in range(9)]
NAMES = ("one", "two")


class Books(Protocol):
    findings: FindingTable

    def end(self, planned: PlannedCell) -> list[str]: ...
    def controls_for(self, claim: str) -> Iterator[PlannedCell]: ...
    def reach(self, claims: Iterable[str]) -> Iterator[Verdict]: ...
    def finish(self) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]: ...


class Slow:
    """Looks through the whole plan whenever it is asked."""

    def __init__(self, of: Plan) -> None:
        self.findings = FindingTable()
        self.plan = of
        self.expected = {(each.cell, probe) for each in of.cells for probe in each.probes}
        self.ended: set[tuple[Cell, str]] = set()
        self.reached: set[str] = set()

    def end(self, planned: PlannedCell) -> list[str]:
        claims: dict[str, None] = {}
        for probe in planned.probes:
            self.ended.add((planned.cell, probe))
            mine = [part for part in self.plan.parts if part.probe == probe]
            found = {part.claim for part in mine if planned.cell in part.cells}
            claims.update(dict.fromkeys(sorted(found)))
        return list(claims)

    def controls_for(self, claim: str) -> Iterator[PlannedCell]:
        fallbacks = {
            (each.cell, probe): each for each in self.plan.fallbacks for probe in each.probes
        }
        for part in self.plan.parts:
            if part.claim != claim:
                continue
            while (cell := next_control(part, self.findings, frozenset(self.ended))) is not None:
                if (cell, part.probe) in self.expected:
                    break
                fallback = fallbacks.get((cell, part.probe))
                if fallback is None:
                    self.ended.add((cell, part.probe))
                    continue
                self.expected.update((cell, probe) for probe in fallback.probes)
                yield fallback
                break

    def reach(self, claims: Iterable[str]) -> Iterator[Verdict]:
        requested = set(claims) - self.reached
        ready = [
            each.id for each in self.plan.claims if each.id in requested and self.settled(each.id)
        ]
        for verdict in judge(self.plan, self.findings):
            denies = any(each.expects_absent for each in self.of(verdict.claim))
            open_ = denies and verdict.reason is Reason.CONTROL_FAILED
            if verdict.claim in ready and not open_:
                self.reached.add(verdict.claim)
                yield verdict

    def settled(self, claim: str) -> bool:
        answers = {(cell, part.probe) for part in self.of(claim) for cell in part.cells}
        return answers & self.expected <= self.ended

    def of(self, claim: str) -> list[Part]:
        return [part for part in self.plan.parts if part.claim == claim]

    def finish(self) -> tuple[tuple[Verdict, ...], tuple[Verdict, ...]]:
        verdicts = judge(self.plan, self.findings)
        return verdicts, tuple(each for each in verdicts if each.claim not in self.reached)


@dataclasses.dataclass
class Driver:
    """Ends cells as the engine does; some end at once, as those do that an earlier run made."""

    books: Books
    shown: dict[tuple[Cell, str], Observed | Reason | None]
    at_once: set[Cell]
    waiting: list[PlannedCell] = dataclasses.field(default_factory=list)
    log: list[object] = dataclasses.field(default_factory=list)

    def end(self, planned: PlannedCell) -> None:
        where = planned.cell
        for probe in planned.probes:
            shows = self.shown.get((where, probe))
            if isinstance(shows, Observed):
                facts = text_facts(f"{shows}.")
                self.books.findings.add(Finding(where, probe, CHANNEL, shows, facts))
            elif shows is not None:
                facts = text_facts("It failed.")
                failed = Finding(where, probe, CHANNEL, Observed.UNKNOWN, facts, shows)
                self.books.findings.add(failed)
        claims = self.books.end(planned)
        self.log.append((where, claims))
        for each in claims:
            for control in self.books.controls_for(each):
                self.log.append((each, control))
                if control.cell in self.at_once:
                    self.end(control)
                else:
                    self.waiting.append(control)
        self.log.append(sorted(self.books.reach(claims), key=lambda verdict: verdict.claim))

    def run(self, of: Plan, seed: int) -> list[object]:
        drawn = random.Random(seed)  # noqa: S311 - no secret
        self.log += self.books.reach(each.id for each in of.claims)
        self.waiting += of.cells
        while self.waiting:
            self.end(self.waiting.pop(drawn.randrange(len(self.waiting))))
        verdicts, late = self.books.finish()
        return [*self.log, verdicts, late]


cells = st.sampled_from(CELLS)
several = st.lists(cells, max_size=4, unique=True).map(tuple)
claims = [claim(number) for number in range(1, 4)]
parts = st.builds(
    Part,
    st.sampled_from([each.id for each in claims[:2]]),
    st.sampled_from(NAMES),
    st.just(CHANNEL),
    cells,
    st.none() | cells,
    several,
    expects_absent=st.booleans(),
    pick=st.sampled_from(["", "lowest"]),
    elsewhere=several,
    later=several,
)
shows = st.sampled_from(
    [*[Observed.ABSENT] * 3, *[Reason.BUILD_FAILED] * 2, Observed.PRESENT, Reason.TIMED_OUT, None]
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    made = draw(st.lists(parts, min_size=1, max_size=8))
    run = {each for part in made for each in part.required}
    # Of some cells that may be asked for nobody knows anything.
    reserve = {each for part in made for each in part.cells} - run - {draw(cells)}
    named = {each: draw(st.sampled_from([NAMES[:1], NAMES[1:], NAMES])) for each in CELLS}

    def planned(some: set[Cell]) -> tuple[PlannedCell, ...]:
        return tuple(
            PlannedCell(each, DAY, named[each]) for each in sorted(some, key=lambda cell: cell.id)
        )

    about = claims[0].id
    return dataclasses.replace(
        plan(claims, made, [Omission(about, "this", Reason.NOT_IN_PROFILE)]),
        cells=planned(run),
        fallbacks=planned(reserve),
        static=(StaticEvidence(about, refutes=True, evidence="It lists none."),),
    )


@settings(max_examples=200, deadline=None)
@given(
    plans(),
    st.fixed_dictionaries({(each, name): shows for each in CELLS for name in NAMES}),
    st.sets(cells),
    st.integers(0, 9),
)
def test_what_is_asked_and_told_is_what_looking_through_all_says(
    of: Plan, shown: dict[tuple[Cell, str], Observed | Reason | None], at_once: set[Cell], seed: int
) -> None:
    fast, slow = (Driver(books, shown, at_once).run(of, seed) for books in (Progress(of), Slow(of)))
    assert fast == slow


found = Interpreter(Path("python"), "3.9.18", "GCC", "linux_x86_64", "glibc", "path")
ENVIRONMENT = Environment(Path("python"), "key", (), found)


def item(order: int, target: str) -> QueuedCell:
    made = dataclasses.replace(cell("1.9.0"), target=target)
    return QueuedCell(order, PlannedCell(made, DAY, ()), fallback=False, environment=ENVIRONMENT)


targets = st.sampled_from(["linux_x86_64", "linux_aarch64"])
puts = st.tuples(st.integers(-20, 20), targets)


@given(st.lists(puts | st.none() | st.just("end"), max_size=60), st.integers(1, 3))
def test_the_first_goes_first_and_few_are_emulated_at_a_time(
    steps: list[tuple[int, str] | str | None], most: int
) -> None:
    ready = ReadyQueue(frozenset({"linux_aarch64"}), most)
    waiting: list[QueuedCell] = []
    running: list[QueuedCell] = []
    for step in steps:
        if isinstance(step, tuple):
            if step[0] not in {each.order for each in waiting}:
                waiting.append(item(*step))
                ready.put(waiting[-1])
        elif step is not None:
            running = running[1:]
        else:
            slow = [each for each in running if each.planned.cell.target == "linux_aarch64"]
            able = [
                each
                for each in waiting
                if len(slow) < most or each.planned.cell.target != "linux_aarch64"
            ]
            expected = min(able, key=lambda each: each.order, default=None)
            assert ready.take(running) is expected
            if expected is not None:
                waiting.remove(expected)
                running.append(expected)
