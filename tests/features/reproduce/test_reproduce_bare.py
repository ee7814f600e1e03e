"""`reproduce --bare`: the app without the tracer, by hand and run, beside the answers under it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.cell_jobs import fake_job
from helpers.run_fakes import MINIMUM, planned

from matrix.agent.crashes import COUNT
from matrix.cells.run import run_cell
from matrix.errors import UsageError
from matrix.features.reproduce.bare import BareComparison, bare_requests
from matrix.features.reproduce.run import SingleRun
from matrix.features.reproduce.script import ManualSteps
from matrix.model.capture import BARE, CellCapture, Exchange, ProcessCapture
from matrix.model.probe import NO_EVIDENCE, Channel, Probe, Stimulus
from matrix.model.reason import Reason
from matrix.runs.result_store import CaptureStore

VIEW = Stimulus("view", NO_EVIDENCE, "/{shop}/", plain=200)
PROBE = Probe(
    "tracing",
    "Tracing",
    (
        Channel("automatic", "default", (VIEW,), "untraced"),
        Channel("patched", "default", (VIEW,), "untraced"),
    ),
)
PLANNED = dataclasses.replace(planned(MINIMUM), probes=("tracing",))


def by_hand(folder: Path) -> ManualSteps:
    return ManualSteps(
        planned=PLANNED,
        probes=[PROBE],
        settings={BARE: {"BOOKSHOP_BARE": "1"}},
        folder=folder,
        project=Path("/project"),
        python=Path(sys.executable),
    )


def process(setting: str, *exchanges: Exchange) -> ProcessCapture:
    return ProcessCapture(setting, "probe", 0, {}, 0.5, 1.0, None, exchanges, (), "")


def answered(status: int, body: str) -> Exchange:
    return Exchange(
        "tracing", "automatic", "view", 0, "s1", 0.1, "GET", "/s1/", {}, "", status, {}, body
    )


def capture(*processes: ProcessCapture, started: str = "2026-01-01") -> CellCapture:
    return CellCapture(MINIMUM, started, None, (), processes, started, 2.5)


def test_by_hand_it_has_neither_tracer_nor_agent(tmp_path: Path) -> None:
    steps = by_hand(tmp_path)
    lines = list(steps.session_commands(BARE))
    text = "\n".join(lines)
    assert "  BOOKSHOP_BARE=1 \\" in lines
    assert not [word for word in ("DD_", "ddtrace", "agent") if word in text]
    assert steps.files(None) == {}
    subprocess.run(["bash", "-n", "-c", text], check=True)  # noqa: S607


def test_by_hand_each_request_is_sent_once_and_its_answer_is_named(tmp_path: Path) -> None:
    text = "\n".join(by_hand(tmp_path).request_commands(BARE))
    assert text.count("curl ") == 1
    assert "expected: 200" in text


def test_a_cell_that_sends_nothing_has_no_bare_control() -> None:
    with pytest.raises(UsageError, match="has no bare control"):
        bare_requests(PLANNED, {})
    assert [each.stimulus for each in bare_requests(PLANNED, {"tracing": PROBE})] == [VIEW]


def test_answers_without_the_tracer_stand_beside_those_under_it() -> None:
    dead = dataclasses.replace(
        process("untraced"), failed=Reason.BROKEN_START, detail="exit code 1", log="one\nlast"
    )
    bare = capture(process(BARE, answered(200, "hello"), answered(200, "hello")))
    traced = capture(process("default", answered(500, "IndexError: no")), dead)
    shown = SingleRun(bare, (), None, BareComparison(bare, traced))
    text = "\n".join(shown.lines())
    assert "without ddtrace: 200 hello\n    under ddtrace, default: 500 IndexError: no" in text
    assert "untraced probe 0: broken-start: exit code 1\n    | one\n    | last" in text
    assert shown.to_json()["answers"] == [
        {
            "probe": "tracing",
            "stimulus": "view",
            "bare": ["200 hello"],
            "traced": {"default": ["500 IndexError: no"]},
        }
    ]


def test_without_a_capture_it_says_that_there_is_nothing_to_compare_with() -> None:
    bare = capture(process(BARE, answered(200, "hello")))
    (line, *_) = BareComparison(bare, None).lines()
    assert "No capture of it under the tracer is kept here" in line


def test_the_newest_capture_of_a_cell_is_compared_with(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path)
    assert store.newest(MINIMUM) is None
    for started in ("2026-01-02", "2026-01-03", "2026-01-01"):
        store.write(capture(started=started))
    newest = store.newest(MINIMUM)
    assert newest is not None
    assert newest.started == "2026-01-03"


def test_a_capture_in_which_crashes_were_only_counted_is_not_compared_with(tmp_path: Path) -> None:
    store = CaptureStore(tmp_path)
    counted = dataclasses.replace(process("off"), purpose=COUNT)
    store.write(capture(counted, started="2026-01-04"))
    assert store.newest(MINIMUM) is None


def test_a_bare_cell_runs_nothing_but_the_app_without_the_tracer(tmp_path: Path) -> None:
    done = run_cell(dataclasses.replace(fake_job(tmp_path, "good", soak=True), bare=True))
    (ran,) = done.processes
    assert ran.setting == BARE
    assert not [name for name in ran.environment if name.startswith("DD_")]
