"""Verdicts from captures alone: nothing is built, nothing is run."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

from helpers.run_fakes import CONTROL, MINIMUM, PROBES, FakeClock, FakeRunner, plan, probe
from helpers.scheduler_runs import SchedulerRun, responses

from matrix.judging.sentences import evidence_text
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome
from matrix.runs.events import Event
from matrix.runs.journal import Journal
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore
from matrix.runs.run import rejudge


def again(folder: Path, events: list[Event], *, control: str | None = "off") -> Record:
    (name,) = PROBES
    return rejudge(
        plan(),
        {name: probe(control=control)},
        journal=Journal(folder / "journal.jsonl"),
        captures=CaptureStore(folder / "captures"),
        clock=FakeClock(),
        emit=events.append,
    )


def test_the_same_rules_give_the_same_verdicts_with_fallbacks_too(tmp_path: Path) -> None:
    bodies = responses(minimum="welcome", control="welcome")
    first = SchedulerRun(tmp_path, FakeRunner(bodies)).run()
    events: list[Event] = []
    second = again(tmp_path, events)
    assert second.verdicts == first.verdicts
    assert second.verdicts[0].outcome is Outcome.REFUTED
    assert all(record.reused for record in second.cells)
    assert [type(event).__name__ for event in events][-1] == "RunFinished"


def test_probes_declared_otherwise_judge_the_old_captures(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    assert again(tmp_path, []).verdicts[0].outcome is Outcome.CONFIRMED
    changed = again(tmp_path, [], control="untraced")
    assert changed.verdicts[0].outcome is Outcome.UNVERIFIED


def test_what_was_captured_before_there_was_a_control_says_that_it_lacks_one(
    tmp_path: Path,
) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    for file in (tmp_path / "captures").rglob("*.json.gz"):
        old = json.loads(gzip.decompress(file.read_bytes()))
        del old["sha256"]
        for process in old["processes"]:
            del process["traced"]
        file.write_bytes(gzip.compress(json.dumps(old).encode()))
    assert again(tmp_path, []).verdicts[0].outcome is Outcome.CONFIRMED
    verdict = again(tmp_path, [], control="untraced").verdicts[0]
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.NO_CONTROL)
    assert "'attack' was not sent" in evidence_text(verdict.parts[0].facts)


def test_a_cell_without_a_capture_is_not_run(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses())).run()
    for file in (tmp_path / "captures" / MINIMUM).iterdir():
        file.unlink()
    result = again(tmp_path, [])
    assert result.verdicts[0].reason is Reason.NOT_RUN
    assert CONTROL in {record.id for record in result.cells}
