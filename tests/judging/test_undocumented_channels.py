"""A channel with switches that no document names decides no claim, and is told beside it."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import BEFORE, CHANNEL, MINIMUM, PROBE, capture, claim, part, probe, process

from matrix.judging.cells import findings_of
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.capture import CellCapture, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.verdict import Observed, Outcome, Tightness

FORCED = "forced"
(STATIC,) = probe().channels
WITH_FORCED = dataclasses.replace(STATIC, name=FORCED, setting=FORCED, documented=False)
PROBES = {PROBE: dataclasses.replace(probe(), channels=(STATIC, WITH_FORCED))}


def seen(cell: str, documented: str, forced: str) -> CellCapture:
    """Return the capture of a cell with a response to each channel."""
    version = Cell.parse(cell).ddtrace

    def on_forced(setting: str, body: str) -> ProcessCapture:
        made = process(setting, body, version)
        warm_up, sent = made.exchanges
        return dataclasses.replace(
            made, exchanges=(warm_up, dataclasses.replace(sent, channel=FORCED))
        )

    own = [process("appsec", documented, version), process("off", "fine", version)]
    return capture(cell, processes=[*own, on_forced(FORCED, forced), on_forced("off", "fine")])


@pytest.mark.parametrize(
    ("documented", "forced", "tightness", "told"),
    [
        ("welcome", "blocked", Tightness.EXACT, True),
        ("welcome", "welcome", Tightness.EXACT, False),
        ("blocked", "blocked", Tightness.EARLIER, False),
    ],
)
def test_a_claim_does_not_hold_earlier_by_undocumented_switches(
    documented: str, forced: str, tightness: Tightness, told: bool
) -> None:
    findings = [
        *findings_of(seen(MINIMUM, "blocked", "blocked"), (PROBE,), PROBES),
        *findings_of(seen(BEFORE, documented, forced), (PROBE,), PROBES),
    ]
    verdict = judge_part(part(claim()), FindingTable(findings))
    assert (verdict.outcome, verdict.tightness) == (Outcome.CONFIRMED, tightness)
    remarks = " ".join(map(remark_text, verdict.remarks))
    assert (f"switches that are not documented for it ({FORCED})" in remarks) is told
    assert (BEFORE in remarks) is told


def test_undocumented_switches_do_not_confirm_a_minimum() -> None:
    findings = findings_of(seen(MINIMUM, "welcome", "blocked"), (PROBE,), PROBES)
    assert {item.channel: item.shows for item in findings} == {
        CHANNEL: Observed.ABSENT,
        FORCED: Observed.PRESENT,
    }
    verdict = judge_part(part(claim()), FindingTable(findings))
    assert verdict.outcome is Outcome.UNVERIFIED
    assert FORCED not in evidence_text(verdict.facts)
    assert FORCED in " ".join(map(remark_text, verdict.remarks))
