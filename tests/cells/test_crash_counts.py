"""A cell counts processes after a first crash: with the feature and with it off."""

from __future__ import annotations

import dataclasses
import sys
from collections import Counter
from pathlib import Path

import pytest
from helpers.cell_jobs import DETECTION, fake_job

from matrix.agent.crashes import COUNT, Tally, counted
from matrix.cells.run import run_cell
from matrix.judging.cells import findings_of
from matrix.judging.crashes import suspicious_count
from matrix.judging.sentences import evidence_text
from matrix.model.capture import CellCapture
from matrix.model.plan import CrashSubject
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")
OWN = "detection/static"
SOAK = "soak/appsec"


def run(folder: Path, mode: str, *, soak: bool = False) -> CellCapture:
    job = fake_job(folder, mode, probes=(DETECTION,), decisive=("detection",), soak=soak)
    # The processes of a cell count their calls in one folder, which is then not in memory.
    return run_cell(dataclasses.replace(job, keep=True))


def finding(capture: CellCapture) -> Finding:
    (found,) = findings_of(capture, ("detection",), {"detection": DETECTION})
    return found


def settings(capture: CellCapture) -> Counter[str]:
    return Counter(item.setting for item in capture.processes if item.purpose == COUNT)


def test_processes_that_die_now_and_then_are_counted(tmp_path: Path) -> None:
    capture = run(tmp_path, "crash-now-and-then")
    assert settings(capture) == {"appsec": 10, "off": 10}
    tallies = counted(capture.processes, OWN, "appsec")
    assert tallies is not None
    assert tallies[0].died >= 6
    assert tallies[1] == Tally(0, 10)
    kept = [item for item in capture.processes if item.purpose == COUNT]
    assert not any(item.agent or item.exchanges for item in kept)
    found = finding(capture)
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.UNSTABLE)
    assert suspicious_count(found) is not None


def test_a_crash_in_the_soak_is_counted(tmp_path: Path) -> None:
    capture = run(tmp_path, "crash-in-soak-when-secured", soak=True)
    assert counted(capture.processes, SOAK, "appsec") == (Tally(10, 10), Tally(0, 10))
    assert "10 of 10 processes; 0 of 10 with it off" in evidence_text(finding(capture).facts)


def test_what_does_not_decide_is_counted_further(tmp_path: Path) -> None:
    capture = run(tmp_path, "crash-in-soak", soak=True)
    assert counted(capture.processes, SOAK, "appsec") == (Tally(30, 30), Tally(30, 30))
    assert finding(capture).reason is Reason.UNSTABLE
    assert suspicious_count(finding(capture)) is None


@pytest.mark.parametrize("mode", ["good", "crash", "exit"])
def test_without_a_crash_or_where_all_crash_nothing_is_counted(tmp_path: Path, mode: str) -> None:
    assert settings(run(tmp_path, mode)) == {}


@pytest.mark.parametrize(("mode", "count"), [("good", 10), ("crash-in-soak", 30)])
def test_another_release_is_only_counted(tmp_path: Path, mode: str, count: int) -> None:
    job = fake_job(tmp_path, mode, probes=(DETECTION,), decisive=("detection",), soak=True)
    planned = dataclasses.replace(job.planned, count=CrashSubject(SOAK, "appsec", 10))
    capture = run_cell(dataclasses.replace(job, planned=planned))
    assert {item.purpose for item in capture.processes} == {COUNT}
    died = 0 if mode == "good" else 30
    tallies = counted(capture.processes, SOAK, "appsec")
    assert tallies is not None
    assert tallies[0] == Tally(died, count)
