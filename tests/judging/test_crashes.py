"""Crashes are counted: with the feature, with it off, and at another release."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import (
    CHANNEL,
    CONTROL,
    MINIMUM,
    PROBE,
    PROBES,
    capture,
    claim,
    exchange,
    part,
    process,
)

from matrix.agent.crashes import more_hits_probability
from matrix.judging.cells import cell_failure, findings_of
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.capture import CellCapture, ProcessCapture, Soak
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict

VERSION = "1.9.0"
OWN = f"{PROBE}/{CHANNEL}"
SOAK = "soak/appsec"


# Of scipy.stats.fisher_exact(table, alternative="greater"), scipy 1.17.1.
@pytest.mark.parametrize(
    ("table", "probability"),
    [
        ((7, 10, 0, 10), 0.001547987616099071),
        ((6, 10, 0, 10), 0.0054179566563467485),
        ((5, 10, 0, 10), 0.016253869969040248),
        ((3, 10, 1, 10), 0.2910216718266254),
        ((8, 30, 1, 30), 0.012845367481558212),
        ((9, 30, 1, 30), 0.00609145750434892),
        ((4, 30, 0, 10), 0.2998686946055368),
        ((6, 10, 0, 30), 5.4710581026370506e-05),
        ((0, 10, 0, 10), 1.0),
        ((0, 10, 3, 10), 1.0),
    ],
)
def test_the_test_gives_known_values(table: tuple[int, int, int, int], probability: float) -> None:
    assert more_hits_probability(*table) == pytest.approx(probability, rel=1e-9)


def counts(setting: str, died: int, of: int, subject: str = OWN) -> list[ProcessCapture]:
    lived = process(setting, "", VERSION, purpose="count", counted=subject, exchanges=(), agent=())
    dead = dataclasses.replace(lived, exit_code=-11, failed=Reason.CRASHED)
    return [dead] * died + [lived] * (of - died)


def crashed() -> ProcessCapture:
    silent = dataclasses.replace(exchange("", number=2), status=None, error="reset")
    exchanges = (exchange("", warm_up=True), silent)
    return process("appsec", "", VERSION, exchanges=exchanges, exit_code=-11, failed=Reason.CRASHED)


def crashed_soak() -> ProcessCapture:
    soak = Soak(150, {"200": 20}, {"reset": 130}, None, alive=False, seconds=1)
    return process(
        "appsec", "", VERSION, purpose="soak", soak=soak, exit_code=-11, failed=Reason.CRASHED
    )


def seen(*more: ProcessCapture, first: ProcessCapture | None = None) -> CellCapture:
    good = [process("appsec", "blocked", VERSION, repeat=number) for number in (1, 2)]
    return capture(
        MINIMUM, processes=[first or crashed(), *good, process("off", "fine", VERSION), *more]
    )


def find(capture: CellCapture) -> Finding:
    (finding,) = findings_of(capture, (PROBE,), PROBES)
    return finding


def judge(here: Finding, there: tuple[int, int] | None, subject: str = OWN) -> PartVerdict:
    table = FindingTable([here, find(capture(CONTROL))])
    if there is not None:
        table.add_counts(find(capture(CONTROL, processes=counts("appsec", *there, subject))))
    return judge_part(part(claim()), table)


def test_crashes_that_were_not_counted_are_unstable() -> None:
    assert find(seen()).reason is Reason.UNSTABLE


def test_crashes_of_the_feature_alone_refute() -> None:
    here = find(seen(*counts("appsec", 7, 10), *counts("off", 0, 10)))
    assert (here.shows, here.reason) == (Observed.UNKNOWN, Reason.UNSTABLE)
    verdict = judge(here, (0, 10))
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUTED, Reason.CRASHES)
    text = evidence_text(verdict.facts)
    assert "7 of 10 processes; 0 of 10 with it off; 0 of 10 under " in text
    assert [cell.id for cell in verdict.cells] == [MINIMUM, CONTROL]


@pytest.mark.parametrize(
    ("on", "off", "there"),
    [
        ((7, 10), (0, 10), None),
        ((7, 10), (0, 10), (6, 10)),
        ((7, 10), (0, 10), (0, 9)),
        ((7, 10), (6, 10), (0, 10)),
        ((4, 30), (0, 30), (0, 30)),
        ((2, 30), (0, 30), (0, 30)),
        ((1, 10), (0, 10), (0, 10)),
        ((0, 10), (0, 10), (0, 10)),
    ],
)
def test_all_else_is_unstable_with_the_counts(
    on: tuple[int, int], off: tuple[int, int], there: tuple[int, int] | None
) -> None:
    here = find(seen(*counts("appsec", *on), *counts("off", *off)))
    verdict = judge(here, there)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.UNSTABLE)
    text = evidence_text(verdict.facts)
    assert f"{on[0]} of {on[1]} processes; {off[0]} of {off[1]} with it off" in text


@pytest.mark.parametrize("died", [0, 1])
def test_a_rare_crash_is_a_remark(died: int) -> None:
    here = find(seen(*counts("appsec", died, 30), *counts("off", 0, 30)))
    assert (here.shows, here.reason) == (Observed.PRESENT, None)
    verdict = judge(here, None)
    assert verdict.outcome is Outcome.CONFIRMED
    assert f"{died} of 30 processes" in " ".join(map(remark_text, verdict.remarks))


def test_a_soak_is_counted_like_any_process() -> None:
    off, good = process("off", "fine", VERSION), process("appsec", "blocked", VERSION)
    on = [*counts("appsec", 9, 10, SOAK), *counts("off", 0, 10, SOAK)]
    here = find(capture(MINIMUM, processes=[good, off, crashed_soak(), *on]))
    verdict = judge(here, (0, 10), SOAK)
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUTED, Reason.CRASHES)
    assert "in the soak (appsec): 9 of 10 processes" in evidence_text(verdict.facts)
    rare = [*counts("appsec", 1, 30, SOAK), *counts("off", 0, 30, SOAK)]
    seldom = find(capture(MINIMUM, processes=[good, off, crashed_soak(), *rare]))
    assert seldom.shows is Observed.PRESENT


def test_counts_of_another_channel_do_not_matter() -> None:
    others = [*counts("appsec", 9, 10, "other/channel"), *counts("off", 0, 10, "other/channel")]
    good = [process("appsec", "blocked", VERSION), process("off", "fine", VERSION)]
    assert find(capture(MINIMUM, processes=[*good, *others])).shows is Observed.PRESENT


def test_processes_that_got_no_time_do_not_count() -> None:
    late = [dataclasses.replace(item, failed=Reason.TIMED_OUT) for item in counts("appsec", 0, 20)]
    here = find(seen(*counts("appsec", 0, 10), *late, *counts("off", 0, 30)))
    assert here.reason is Reason.UNSTABLE
    assert "0 of 10 processes" in evidence_text(here.facts)


def test_a_cell_that_was_only_counted_did_not_fail() -> None:
    assert cell_failure(capture(CONTROL, processes=counts("appsec", 0, 10))) is None


def test_a_soak_is_a_remark_for_a_channel_about_something_else_than_its_setting() -> None:
    (channel,) = PROBES[PROBE].channels
    about_tags = dataclasses.replace(channel, soaked=False)
    probes = {PROBE: dataclasses.replace(PROBES[PROBE], channels=(about_tags,))}
    off, good = process("off", "fine", VERSION), process("appsec", "blocked", VERSION)
    on = [*counts("appsec", 9, 10, SOAK), *counts("off", 0, 10, SOAK)]
    for more in ([], on):
        soaked = capture(MINIMUM, processes=[good, off, crashed_soak(), *more])
        (here,) = findings_of(soaked, (PROBE,), probes)
        verdict = judge(here, (0, 10), SOAK)
        assert (verdict.outcome, verdict.reason) == (Outcome.CONFIRMED, None)
        assert "soak" in " ".join(map(remark_text, verdict.remarks))
    own = [*counts("appsec", 9, 10), *counts("off", 0, 10)]
    (here,) = findings_of(seen(*own), (PROBE,), probes)
    assert here.reason is Reason.UNSTABLE, "its own requests"
