"""A crash at the minimum has processes counted at another release, once for all claims."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.run_fakes import (
    CHANNEL,
    CONTROL,
    MINIMUM,
    PROBE,
    FakeRunner,
    capture,
    claim,
    plan,
    process,
)
from helpers.scheduler_runs import SchedulerRun, responses

from matrix.model.capture import CellCapture, ProcessCapture
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome


def counts(version: str, setting: str, died: int) -> list[ProcessCapture]:
    own = f"{PROBE}/{CHANNEL}"
    lived = process(setting, "", version, purpose="count", counted=own, exchanges=(), agent=())
    dead = dataclasses.replace(lived, exit_code=-11, failed=Reason.CRASHED)
    return [dead] * died + [lived] * (10 - died)


class Crashes:
    """The minimum dies in 7 of 10 processes, the control in `there`."""

    def __init__(self, there: int) -> None:
        self.there = there
        self.controls = 0

    def __call__(self, cell: str, key: str) -> CellCapture | None:
        if cell == MINIMUM:
            good = [process("appsec", "blocked", "1.9.0"), process("off", "fine", "1.9.0")]
            here = [*counts("1.9.0", "appsec", 7), *counts("1.9.0", "off", 0)]
            return capture(cell, key, processes=[*good, *here])
        self.controls += cell == CONTROL
        if cell == CONTROL and self.controls > 1:
            return capture(cell, key, processes=counts("1.20.0", "appsec", self.there))
        return responses()(cell, key)


@pytest.mark.parametrize(
    ("there", "outcome", "reason"),
    [(0, Outcome.REFUTED, Reason.CRASHES), (6, Outcome.UNVERIFIED, Reason.UNSTABLE)],
)
def test_another_release_decides(
    tmp_path: Path, there: int, outcome: Outcome, reason: Reason
) -> None:
    run = SchedulerRun(tmp_path, FakeRunner(Crashes(there)), of=plan([claim(1), claim(2)]))
    record = run.run()
    assert [(each.outcome, each.reason) for each in record.verdicts] == [(outcome, reason)] * 2
    assert run.runner.ran.count(CONTROL) == 2
    assert [each.id for each in record.cells].count(CONTROL) == 1
    again = SchedulerRun(tmp_path, FakeRunner(Crashes(there)), of=plan([claim(1), claim(2)]))
    assert [each.reason for each in again.run().verdicts] == [reason] * 2
    assert again.runner.ran == []
