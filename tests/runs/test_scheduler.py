"""The run, with a made-up world: order, reuse, fallback controls, failures, stopping."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers.run_fakes import (
    BEFORE,
    CONTROL,
    MINIMUM,
    OLDER,
    PROBES,
    FakeEnvironments,
    FakeRunner,
    capture,
    claim,
    failed,
    ids,
    part,
    plan,
    probe,
)
from helpers.scheduler_runs import BODIES, SchedulerRun, responses

from matrix.errors import StorageError
from matrix.model.capture import CellCapture
from matrix.model.environment import Environment
from matrix.model.plan import Plan, PlannedCell
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, Tightness
from matrix.runs.events import (
    ControlAdded,
    EnvironmentFailed,
    Event,
    RunFinished,
    RunStarted,
    VerdictReached,
    WarningRaised,
)
from matrix.runs.journal import Entry, Journal


def shape(events: list[Event]) -> Iterator[tuple[str, str]]:
    for event in events:
        what = getattr(event, "cell", "")
        if isinstance(event, VerdictReached):
            what = event.verdict.outcome.value
        yield type(event).__name__, what


def test_events_of_a_run(tmp_path: Path) -> None:
    run = SchedulerRun(tmp_path, FakeRunner(responses()), FakeEnvironments(ready=True))
    result = run.run()
    cells = [
        item
        for cell in (MINIMUM, BEFORE, CONTROL)
        for item in (("CellStarted", cell), ("CellFinished", cell))
    ]
    assert list(shape(run.events)) == [
        ("RunStarted", ""),
        *cells,
        ("VerdictReached", "confirmed"),
        ("RunFinished", ""),
    ]
    (verdict,) = result.verdicts
    assert (verdict.outcome, verdict.tightness) == (Outcome.CONFIRMED, Tightness.EXACT)
    assert [record.id for record in result.cells] == [MINIMUM, BEFORE, CONTROL]


def test_environments_are_built_before_their_cells(tmp_path: Path) -> None:
    run = SchedulerRun(tmp_path, FakeRunner(responses()))
    run.run()
    for cell in (MINIMUM, BEFORE, CONTROL):
        mine = [name for name, what in shape(run.events) if what == cell]
        assert mine[:2] == ["EnvironmentRequested", "EnvironmentReady"]
        assert mine[2:] == ["CellStarted", "CellFinished"]


def test_a_verdict_is_told_as_soon_as_its_cells_are_in(tmp_path: Path) -> None:
    first, second = claim(1), claim(2)
    early = part(first, before=None, controls=())
    late = part(second, minimum=CONTROL, before=None, controls=())
    run = SchedulerRun(tmp_path, FakeRunner(responses()), of=plan([first, second], [early, late]))
    run.run()
    events = [what for what in shape(run.events) if what[0] in {"CellFinished", "VerdictReached"}]
    assert events.index(("VerdictReached", "confirmed")) == 1


def test_nothing_runs_twice(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    for environments in (FakeEnvironments(), FakeEnvironments(ready=True)):
        again = SchedulerRun(tmp_path, FakeRunner(responses()), environments)
        result = again.run()
        assert again.runner.ran == []
        assert again.reused == [MINIMUM, BEFORE, CONTROL]
        assert result.verdicts[0].outcome is Outcome.CONFIRMED


def test_fresh_runs_all_again(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    again = SchedulerRun(tmp_path, FakeRunner(responses()), fresh=True)
    again.run()
    assert again.runner.ran == [MINIMUM, BEFORE, CONTROL]


def test_other_artifacts_are_other_results(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    changed = FakeEnvironments(ready=True)
    changed.salt = "with another hash"
    again = SchedulerRun(tmp_path, FakeRunner(responses()), changed)
    again.run()
    assert again.reused == []


def test_other_rules_of_judging_judge_the_captures_again_without_running(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    again = SchedulerRun(tmp_path, FakeRunner(responses()), judge="another")
    again.run()
    assert again.runner.ran == []
    assert len(again.reused) == 3
    for file in (tmp_path / "captures").rglob("*.gz"):
        file.unlink()
    third = SchedulerRun(tmp_path, FakeRunner(responses()), judge="a third")
    third.run()
    assert len(third.runner.ran) == 3


def test_a_result_that_holds_more_is_reused(tmp_path: Path) -> None:
    def asking(*names: str) -> Plan:
        cells = tuple(dataclasses.replace(item, probes=names) for item in plan().cells)
        return dataclasses.replace(plan(), cells=cells)

    probes = {**PROBES, "other": probe("other")}
    (name,) = PROBES
    SchedulerRun(tmp_path, FakeRunner(responses()), of=asking(name, "other"), probes=probes).run()
    less = SchedulerRun(tmp_path, FakeRunner(responses()), of=asking(name), probes=probes)
    result = less.run()
    assert less.runner.ran == []
    assert {item.probe for record in result.cells for item in record.findings} == {name}
    (tmp_path / "journal.jsonl").unlink()
    shutil.rmtree(tmp_path / "captures")
    SchedulerRun(tmp_path, FakeRunner(responses()), of=asking(name), probes=probes).run()
    more = SchedulerRun(tmp_path, FakeRunner(responses()), of=asking(name, "other"), probes=probes)
    more.run()
    assert len(more.runner.ran) == 3


def test_a_result_of_more_repeats_is_reused_and_one_of_fewer_is_not(tmp_path: Path) -> None:
    def ran(repeats: int) -> int:
        cells = tuple(dataclasses.replace(item, repeats=repeats) for item in plan().cells)
        run = SchedulerRun(
            tmp_path, FakeRunner(responses()), of=dataclasses.replace(plan(), cells=cells)
        )
        run.run()
        return len(run.runner.ran)

    assert [ran(repeats) for repeats in (1, 3, 2, 1, 4)] == [3, 3, 0, 0, 3]


def test_a_passing_failure_is_tried_again_and_a_lasting_one_is_not(tmp_path: Path) -> None:
    def answer(cell: str, key: str) -> CellCapture:
        reason = {MINIMUM: Reason.TIMED_OUT, BEFORE: Reason.CRASHED}.get(cell)
        return failed(cell, reason, key) if reason else capture(cell, key)

    SchedulerRun(tmp_path, FakeRunner(answer)).run()
    again = SchedulerRun(tmp_path, FakeRunner(responses()))
    assert again.run().verdicts[0].outcome is Outcome.CONFIRMED
    assert again.runner.ran == [MINIMUM]


def test_a_time_limit_that_strikes_twice_is_no_longer_tried(tmp_path: Path) -> None:
    def answer(cell: str, key: str) -> CellCapture:
        return failed(cell, Reason.TIMED_OUT, key) if cell == BEFORE else capture(cell, key)

    ran = []
    for _ in range(3):
        run = SchedulerRun(tmp_path, FakeRunner(answer))
        run.run()
        ran.append(run.runner.ran)
    assert ran == [[MINIMUM, BEFORE, CONTROL], [BEFORE], []]


def test_a_lasting_build_failure_is_not_built_again(tmp_path: Path) -> None:
    broken = {BEFORE: Reason.BUILD_FAILED, CONTROL: Reason.INDEX_UNAVAILABLE}
    first = SchedulerRun(tmp_path, FakeRunner(responses()), FakeEnvironments(broken))
    result = first.run()
    assert {record.id: record.reason for record in result.cells} == {
        MINIMUM: None,
        BEFORE: Reason.BUILD_FAILED,
        CONTROL: Reason.INDEX_UNAVAILABLE,
    }
    assert EnvironmentFailed(BEFORE, Reason.BUILD_FAILED, "it failed to build") in first.events
    environments = FakeEnvironments()
    again = SchedulerRun(tmp_path, FakeRunner(responses()), environments)
    again.run()
    assert BEFORE not in environments.built
    assert again.runner.ran == [CONTROL]


def test_a_missing_interpreter_is_a_reason_and_nothing_is_built(tmp_path: Path) -> None:
    environments = FakeEnvironments({MINIMUM: Reason.NO_INTERPRETER})
    result = SchedulerRun(tmp_path, FakeRunner(responses()), environments).run()
    assert MINIMUM not in environments.built
    assert result.verdicts[0].reason is Reason.NO_INTERPRETER


def test_fallback_controls_run_only_if_the_ones_before_could_not_serve(tmp_path: Path) -> None:
    absent = SchedulerRun(tmp_path, FakeRunner(responses(minimum="welcome", control="welcome")))
    result = absent.run()
    assert absent.runner.ran == [MINIMUM, BEFORE, CONTROL, OLDER]
    assert ControlAdded(OLDER, claim().id) in absent.events
    assert result.verdicts[0].outcome is Outcome.REFUTED
    assert {CONTROL, OLDER} <= set(ids(result.verdicts[0].cells))
    assert [record.fallback for record in result.cells] == [False, False, False, True]


@pytest.mark.parametrize("bodies", [{}, {"minimum": "welcome"}, {"control": "welcome"}])
def test_no_fallback_where_none_is_needed(tmp_path: Path, bodies: dict[str, str]) -> None:
    run = SchedulerRun(tmp_path, FakeRunner(responses(**bodies)))
    run.run()
    assert OLDER not in run.runner.ran


def test_fallbacks_are_reused_too(tmp_path: Path) -> None:
    bodies = responses(minimum="welcome", control="welcome")
    SchedulerRun(tmp_path, FakeRunner(bodies)).run()
    again = SchedulerRun(tmp_path, FakeRunner(bodies), FakeEnvironments(ready=True))
    assert again.run().verdicts[0].outcome is Outcome.REFUTED
    assert again.runner.ran == []
    assert again.reused == [MINIMUM, BEFORE, CONTROL, OLDER]


def test_a_control_that_nobody_can_run_does_not_hang_the_run(tmp_path: Path) -> None:
    nothing = plan(fallbacks=())
    bodies = responses(minimum="welcome", control="welcome")
    result = SchedulerRun(tmp_path, FakeRunner(bodies), of=nothing).run()
    assert result.verdicts[0].reason is Reason.CONTROL_FAILED


def test_stopping_keeps_what_is_done_and_judges_what_there_is(tmp_path: Path) -> None:
    stopped: list[SchedulerRun] = []

    def answer(cell: str, key: str) -> CellCapture | None:
        if cell != CONTROL:
            return capture(cell, key, body=BODIES[cell])
        stopped[0].scheduler.stop()
        return None

    first, second = claim(1), claim(2)
    parts = [part(first, controls=()), part(second, minimum=CONTROL, before=None, controls=())]
    run = SchedulerRun(tmp_path, FakeRunner(answer), of=plan([first, second], parts))
    stopped.append(run)
    result = run.run()
    assert result.run.interrupted
    assert run.runner.killed.is_set()
    assert run.events[-1] == RunFinished(interrupted=True)
    confirmed, cut = result.verdicts
    assert confirmed.outcome is Outcome.CONFIRMED
    assert cut.reason is Reason.INTERRUPTED
    again = SchedulerRun(tmp_path, FakeRunner(responses()), of=plan([first, second], parts))
    assert not again.run().run.interrupted
    assert again.runner.ran == [CONTROL]


def test_stopping_does_not_wait_for_a_build(tmp_path: Path) -> None:
    release = threading.Event()
    building = threading.Event()

    class Slow(FakeEnvironments):
        def ensure(self, planned: PlannedCell, tell: Callable[[str], None]) -> Environment:
            building.set()
            release.wait(30)
            return super().ensure(planned, tell)

    run = SchedulerRun(tmp_path, FakeRunner(responses()), Slow())

    def stop() -> None:
        building.wait(30)
        run.scheduler.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    result = run.run()
    assert result.run.interrupted
    assert not release.is_set()
    release.set()
    stopper.join()


class FullDisk(Journal):
    def append(self, entry: Entry) -> None:
        raise StorageError("cannot write: no space left", "Free space.")


def test_a_full_disk_is_told_once_and_the_run_goes_on(tmp_path: Path) -> None:
    run = SchedulerRun(
        tmp_path, FakeRunner(responses()), journal=FullDisk(tmp_path / "journal.jsonl")
    )
    result = run.run()
    assert result.verdicts[0].outcome is Outcome.CONFIRMED
    (warned,) = run.events_of(WarningRaised)
    assert isinstance(warned, WarningRaised)
    assert "no space left" in warned.message
    assert result.run.warnings == (warned.message,)


def test_a_cut_journal_is_told(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    again = SchedulerRun(tmp_path, FakeRunner(responses()))
    again.run()
    assert again.runner.ran == [], "its capture is whole"
    warned = [event.message for event in again.events if isinstance(event, WarningRaised)]
    assert "incomplete last line" in warned[0]
    assert CONTROL in warned[1]
    assert "judged again" in warned[1]
    third = SchedulerRun(tmp_path, FakeRunner(responses()))
    third.run()
    assert not third.events_of(WarningRaised), "its line is in the journal again"


def test_claims_that_nothing_tests_are_told_at_once(tmp_path: Path) -> None:
    bare = dataclasses.replace(plan([claim()]), parts=(), cells=(), fallbacks=())
    run = SchedulerRun(tmp_path, FakeRunner(responses()), of=bare)
    result = run.run()
    assert [type(event) for event in run.events] == [RunStarted, VerdictReached, RunFinished]
    assert result.verdicts[0].outcome is Outcome.UNVERIFIED


def test_absence_may_be_believed_because_of_a_later_cell(tmp_path: Path) -> None:
    promised = claim()
    turned = part(promised, minimum=BEFORE, before=None, controls=(), expects_absent=True)
    run = SchedulerRun(
        tmp_path, FakeRunner(responses()), of=plan([promised], [turned], cells=(BEFORE, CONTROL))
    )
    result = run.run()
    assert result.verdicts[0].outcome is Outcome.CONFIRMED
    assert len(run.events_of(VerdictReached)) == 1


def test_a_changed_probe_is_run_again(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    (name,) = PROBES
    again = SchedulerRun(tmp_path, FakeRunner(responses()), probes={name: probe(control=None)})
    again.run()
    assert len(again.runner.ran) == 3


def test_a_surprise_in_a_builder_is_an_error_of_that_cell_only(tmp_path: Path) -> None:
    class Surprising(FakeEnvironments):
        def ensure(self, planned: PlannedCell, tell: Callable[[str], None]) -> Environment:
            if planned.cell.id == BEFORE:
                raise RuntimeError("surprise")
            return super().ensure(planned, tell)

    result = SchedulerRun(tmp_path, FakeRunner(responses()), Surprising()).run()
    reasons = {record.id: record.reason for record in result.cells}
    assert reasons[BEFORE] is Reason.INTERNAL_ERROR
    assert result.verdicts[0].outcome is Outcome.CONFIRMED
