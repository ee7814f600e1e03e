"""Promises about containers are answered by cells that ran in one, and by no others."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    OLDER,
    PROBES,
    FakeClock,
    FakeEnvironments,
    FakeRunner,
    claim,
    finding,
    image,
    part,
    plan,
)
from helpers.scheduler_runs import BODIES, SchedulerRun, responses
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging.fallbacks import next_control
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellCapture
from matrix.model.claim import ClaimKind
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome
from matrix.runs.journal import Journal
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import CaptureFilter, rejudge

OPEN = (Outcome.UNVERIFIED, Reason.DEPLOYMENT_NOT_HERE)
ANYWHERE, IN_DOCKER = claim(1), claim(2, ClaimKind.DEPLOYMENT)
BOTH = plan([ANYWHERE, IN_DOCKER], [part(ANYWHERE), part(IN_DOCKER, contained=True)])
Answering = Callable[[str, str], CellCapture | None]


def run(
    folder: Path, answer: Answering, engine: str, of: Plan = BOTH
) -> tuple[Record, SchedulerRun]:
    """Run on an engine, or on this machine where there is none."""
    made = FakeEnvironments(ready=True)
    made.image = image() if engine else None
    one = SchedulerRun(folder, FakeRunner(answer), made, of, engine=engine)
    return one.run(), one


def again(folder: Path, accepts: CaptureFilter = lambda _capture: True) -> Record:
    return rejudge(
        BOTH,
        PROBES,
        journal=Journal(folder / "journal.jsonl"),
        captures=CaptureStore(folder / "captures"),
        clock=FakeClock(),
        emit=lambda _event: None,
        accepts=accepts,
    )


def outcomes(record: Record) -> list[tuple[Outcome, Reason | None]]:
    return [(verdict.outcome, verdict.reason) for verdict in record.verdicts]


def test_the_same_cells_answer_for_both_and_run_once(tmp_path: Path) -> None:
    result, ran = run(tmp_path, responses(), "Docker")
    assert outcomes(result) == [(Outcome.CONFIRMED, None)] * 2
    assert sorted(ran.runner.ran) == sorted([MINIMUM, BEFORE, CONTROL])
    refuted, _ = run(tmp_path / "other", responses(minimum="welcome"), "Docker")
    assert outcomes(refuted) == [(Outcome.REFUTED, None)] * 2


@pytest.mark.parametrize("minimum", ["blocked", "welcome"])
def test_what_ran_on_a_machine_itself_neither_confirms_nor_refutes_it(
    tmp_path: Path, minimum: str
) -> None:
    result, _ = run(tmp_path, responses(minimum=minimum), "")
    assert outcomes(result)[0][0] is not Outcome.UNVERIFIED
    assert outcomes(result)[1] == OPEN
    assert "not in a container" in evidence_text(result.verdicts[1].facts)


def test_judging_again_takes_no_capture_of_this_machine_for_it(tmp_path: Path) -> None:
    run(tmp_path, responses(), "")
    assert outcomes(again(tmp_path)) == [(Outcome.CONFIRMED, None), OPEN]


@pytest.mark.parametrize("engines", [("Docker", ""), ("", "Docker")])
def test_judging_again_what_ran_on_both_takes_that_of_containers(
    tmp_path: Path, engines: tuple[str, str]
) -> None:
    for engine in engines:
        run(tmp_path, responses(minimum="blocked" if engine else "welcome"), engine)
    result = again(tmp_path)
    assert outcomes(result) == [(Outcome.CONFIRMED, None)] * 2
    assert {cell.where.engine for cell in result.cells if cell.where} == {"Docker"}
    local = again(tmp_path, lambda capture: not capture.engine)
    assert outcomes(local)[1] == (Outcome.UNVERIFIED, Reason.NOT_RUN)


def test_results_of_containers_are_used_again_for_it_and_those_of_this_machine_not(
    tmp_path: Path,
) -> None:
    run(tmp_path, responses(), "")
    first, ran = run(tmp_path, responses(), "Docker")
    assert (ran.reused, outcomes(first)[1]) == ([], (Outcome.CONFIRMED, None))
    second, ran = run(tmp_path, responses(), "Docker")
    assert sorted(ran.reused) == sorted([MINIMUM, BEFORE, CONTROL])
    assert second.verdicts == first.verdicts


SHOWN = st.sampled_from((Observed.PRESENT, Observed.ABSENT, Reason.CRASHED, None))


@given(
    st.tuples(*[st.tuples(SHOWN, st.booleans())] * 4),
    st.booleans(),
    st.sampled_from(((CONTROL, OLDER), (CONTROL,), ())),
)
def test_no_verdict_on_containers_rests_on_another_cell(
    shown: tuple[tuple[Observed | Reason | None, bool], ...],
    expects_absent: bool,
    controls: tuple[str, ...],
) -> None:
    cells = (MINIMUM, BEFORE, CONTROL, OLDER)
    planned_part = part(IN_DOCKER, contained=True, expects_absent=expects_absent, controls=controls)
    all_of, inside = FindingTable(), FindingTable()
    for cell, (item, contained) in zip(cells, shown, strict=True):
        if item is not None:
            all_of.add(finding(cell, item), contained=contained)
            if contained:
                inside.add(finding(cell, item), contained=True)
    verdict, alone = judge_part(planned_part, all_of), judge_part(planned_part, inside)
    assert (verdict.outcome, verdict.tightness) == (alone.outcome, alone.tightness)
    if verdict.outcome is Outcome.REFUTED and not expects_absent:
        assert next_control(planned_part, all_of, set()) is None


def test_why_a_cell_did_not_run_is_nearer_than_where() -> None:
    table = FindingTable([finding(MINIMUM, Reason.BUILD_FAILED)])
    verdict = judge_part(part(IN_DOCKER, contained=True), table)
    assert verdict.reason is Reason.BUILD_FAILED


def test_a_newer_finding_says_where_it_was_found() -> None:
    table, planned_part = FindingTable(), part(IN_DOCKER, contained=True)
    for contained in (True, False, True):
        table.add(finding(MINIMUM, Observed.PRESENT), contained=contained)
        confirmed = judge_part(planned_part, table).outcome is Outcome.CONFIRMED
        assert confirmed is contained


def test_a_control_that_ran_elsewhere_is_no_control(tmp_path: Path) -> None:
    assert BODIES[CONTROL] == "blocked"
    one, _ = run(tmp_path, responses(minimum="welcome"), "Docker")
    assert outcomes(one)[1][0] is Outcome.REFUTED
    table = FindingTable([finding(CONTROL, Observed.PRESENT)])
    table.add(finding(MINIMUM, Observed.ABSENT), contained=True)
    verdict = judge_part(dataclasses.replace(part(IN_DOCKER), contained=True), table)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.CONTROL_FAILED)
