"""Cells that can change no outcome any more: they run last, or not at all."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    OLDER,
    FakeEnvironments,
    FakeRunner,
    capture,
    cell,
    claim,
    part,
    plan,
)
from helpers.scheduler_runs import SchedulerRun

from matrix.model.capture import CellCapture
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome

ELSEWHERE = tuple(cell(version, python="3.11").id for version in ("1.9.0", "1.8.0", "1.20.0"))
OTHER = tuple(cell(version, python="3.10").id for version in ("1.9.0", "1.8.0", "1.20.0"))
REFUTED = (MINIMUM, BEFORE, CONTROL)


def answers(*blocked: str) -> FakeRunner:
    """Return a runner of cells that block only where they are named."""

    def answer(cell_id: str, key: str) -> CellCapture:
        return capture(cell_id, key, body="blocked" if cell_id in blocked else "welcome")

    return FakeRunner(answer)


def two_parts(*, with_other_claim: bool = False) -> Plan:
    """Return a claim that its first part refutes; the second part's cells come last but one."""
    first, other = claim(1), claim(2)
    minimum, before, control = ELSEWHERE
    parts = [
        part(first),
        part(first, minimum=minimum, before=before, controls=(control,)),
        part(other, minimum=OTHER[0], before=OTHER[1], controls=(OTHER[2],)),
    ]
    if with_other_claim:
        parts.append(part(other, minimum=minimum, before=before, controls=(control,)))
    cells = (*REFUTED, *ELSEWHERE, *OTHER)
    return plan((first, other), parts, cells=cells)


def run(folder: Path, of: Plan, *, first_answer: bool) -> tuple[SchedulerRun, list[str]]:
    runner = answers(CONTROL, OLDER, OTHER[0], OTHER[2], ELSEWHERE[0], ELSEWHERE[2])
    run = SchedulerRun(folder, runner, FakeEnvironments(ready=True), of, first_answer=first_answer)
    return run, runner.ran


def test_what_a_refuted_claim_alone_needs_runs_last(tmp_path: Path) -> None:
    scheduled, began = run(tmp_path, two_parts(), first_answer=False)
    record = scheduled.run()
    assert began == [*REFUTED, *OTHER, *ELSEWHERE]
    assert [verdict.outcome for verdict in record.verdicts] == [Outcome.REFUTED, Outcome.CONFIRMED]


def test_with_first_answers_it_does_not_run_and_the_outcomes_are_the_same(tmp_path: Path) -> None:
    scheduled, began = run(tmp_path, two_parts(), first_answer=True)
    record = scheduled.run()
    assert began == [*REFUTED, *OTHER]
    assert [verdict.outcome for verdict in record.verdicts] == [Outcome.REFUTED, Outcome.CONFIRMED]
    reasons = {item.id: item.reason for item in record.cells}
    assert {reasons[item] for item in ELSEWHERE} == {Reason.NOT_NEEDED}
    assert not record.run.interrupted


def test_a_later_run_without_it_runs_what_was_left_out(tmp_path: Path) -> None:
    run(tmp_path, two_parts(), first_answer=True)[0].run()
    scheduled, began = run(tmp_path, two_parts(), first_answer=False)
    scheduled.run()
    assert began == [*ELSEWHERE]


def test_a_cell_that_another_claim_needs_runs_in_its_turn(tmp_path: Path) -> None:
    scheduled, began = run(tmp_path, two_parts(with_other_claim=True), first_answer=True)
    record = scheduled.run()
    assert began == [*REFUTED, *ELSEWHERE, *OTHER]
    assert Reason.NOT_NEEDED not in {item.reason for item in record.cells}


@pytest.mark.parametrize("first_answer", [True, False])
def test_a_control_that_refutes_is_waited_for(tmp_path: Path, first_answer: bool) -> None:
    """The minimum shows nothing, the first control does not either: the next one decides."""
    first = claim(1)
    minimum, before, control = ELSEWHERE
    parts = (part(first), part(first, minimum=minimum, before=before, controls=(control,)))
    of = plan((first,), parts, cells=(*REFUTED, *ELSEWHERE))
    runner = answers(OLDER)
    environments = FakeEnvironments(ready=True)
    record = SchedulerRun(tmp_path, runner, environments, of, first_answer=first_answer).run()
    assert runner.ran[:4] == [*REFUTED, OLDER]
    assert len(runner.ran) == (4 if first_answer else 7)
    assert record.verdicts[0].outcome is Outcome.REFUTED


def test_a_plan_without_parts_for_a_cell_leaves_nothing_out(tmp_path: Path) -> None:
    of = two_parts()
    of = dataclasses.replace(of, parts=of.parts[:1])
    scheduled, began = run(tmp_path, of, first_answer=False)
    scheduled.run()
    assert sorted(began) == sorted([*REFUTED, *ELSEWHERE, *OTHER])
