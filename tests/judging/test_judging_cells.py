"""From a capture to findings: the gate, the evidence, the negative control, the repeats."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import (
    MINIMUM,
    PROBE,
    PROBES,
    Says,
    capture,
    exchange,
    failed,
    probe,
    process,
    traced,
)

from matrix.judging.cells import findings_of
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.capture import AgentRequest, CellCapture, ProcessCapture, Soak
from matrix.model.probe import Stimulus
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed

VERSION = "1.9.0"


def find(seen: CellCapture) -> Finding:
    (finding,) = findings_of(seen, (PROBE,), PROBES)
    return finding


def test_evidence_with_the_feature_and_none_without_is_present() -> None:
    finding = find(capture(MINIMUM))
    assert (finding.shows, finding.reason) == (Observed.PRESENT, None)
    assert "body with 'blocked'" in evidence_text(finding.facts)
    assert "feature off" in evidence_text(finding.facts)


def test_no_evidence_in_a_live_process_is_absent() -> None:
    finding = find(capture(MINIMUM, body="welcome"))
    assert (finding.shows, finding.reason) == (Observed.ABSENT, None)
    assert "body without 'blocked'" in evidence_text(finding.facts)


def test_what_also_shows_with_the_feature_off_proves_nothing() -> None:
    on, off = process("appsec", "blocked", VERSION), process("off", "blocked", VERSION)
    finding = find(capture(MINIMUM, processes=[on, off]))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.SHOWS_WITHOUT_FEATURE)


def test_nothing_is_present_without_a_negative_control() -> None:
    finding = find(capture(MINIMUM, processes=[process("appsec", "blocked", VERSION)]))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)
    assert "not sent" in evidence_text(finding.facts)


@pytest.mark.parametrize("suffix", ["", "+", "a1", "b3", "rc2"])
def test_a_finding_says_that_its_cpython_is_a_preview(suffix: str) -> None:
    seen = capture(MINIMUM)
    assert seen.identity
    python = f"{seen.identity.python.rpartition('.')[0]}.0{suffix}"
    seen = dataclasses.replace(seen, identity=dataclasses.replace(seen.identity, python=python))
    finding = find(seen)
    assert finding.shows is Observed.PRESENT
    text = f"CPython {python} is a preview: what it shows may change until its release."
    assert [evidence_text([note]) for note in finding.notes] == [text] * (len(suffix) > 1)


def test_a_negative_control_that_did_not_live_proves_nothing() -> None:
    off = process("off", "fine", VERSION, agent=())
    seen = capture(MINIMUM, processes=[process("appsec", "blocked", VERSION), off])
    assert find(seen).reason is Reason.BROKEN_START


def test_a_channel_without_an_off_switch_needs_no_negative_control() -> None:
    seen = capture(MINIMUM, processes=[process("appsec", "blocked", VERSION)])
    (finding,) = findings_of(seen, (PROBE,), {PROBE: probe(control=None)})
    assert finding.shows is Observed.PRESENT


@pytest.mark.parametrize(
    ("agent", "reason"),
    [
        ((), Reason.BROKEN_START),
        (traced((exchange("", warm_up=True),), "1.8.0"), Reason.WRONG_INSTALL),
    ],
    ids=["no span", "another version"],
)
def test_the_gate_comes_before_the_evidence(
    agent: tuple[AgentRequest, ...], reason: Reason
) -> None:
    on = process("appsec", "blocked", VERSION, agent=agent)
    finding = find(capture(MINIMUM, processes=[on, process("off", "fine", VERSION)]))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, reason)


@pytest.mark.parametrize("name", ["ddtrace", "django"])
def test_another_installed_version_is_a_wrong_install(name: str) -> None:
    seen = capture(MINIMUM)
    assert seen.identity is not None
    other = dataclasses.replace(seen.identity, installed={**seen.identity.installed, name: "9.9"})
    finding = find(dataclasses.replace(seen, identity=other))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.WRONG_INSTALL)
    assert "9.9" in evidence_text(finding.facts)


def test_another_python_is_a_wrong_install() -> None:
    seen = capture(MINIMUM)
    assert seen.identity is not None
    other = dataclasses.replace(seen.identity, python="3.10.1")
    assert find(dataclasses.replace(seen, identity=other)).reason is Reason.WRONG_INSTALL


def test_a_failed_cell_gives_its_reason_for_every_channel() -> None:
    finding = find(failed(MINIMUM, Reason.BUILD_FAILED))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.BUILD_FAILED)


def test_repeats_that_agree_count_as_one_answer() -> None:
    runs = [process("appsec", "welcome", VERSION, repeat=number) for number in range(3)]
    finding = find(capture(MINIMUM, processes=runs))
    assert (finding.shows, finding.repeats) == (Observed.ABSENT, (("absent", 3),))


def test_repeats_that_differ_are_unstable_with_the_counts() -> None:
    bodies = ("welcome", "blocked", "welcome")
    runs = [process("appsec", body, VERSION, repeat=n) for n, body in enumerate(bodies)]
    finding = find(capture(MINIMUM, processes=[*runs, process("off", "fine", VERSION)]))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.UNSTABLE)
    assert finding.repeats == (("absent", 2), ("present", 1))
    assert "2 x absent" in evidence_text(finding.facts)


def test_a_crash_before_the_answer_is_its_own_reason() -> None:
    silent = dataclasses.replace(exchange("", number=2), status=None, error="reset")
    crashed = process(
        "appsec",
        "",
        VERSION,
        exchanges=(exchange("", warm_up=True), silent),
        exit_code=-11,
        failed=Reason.CRASHED,
    )
    finding = find(capture(MINIMUM, processes=[crashed, process("off", "fine", VERSION)]))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.CRASHED)
    assert "signal 11" in evidence_text(finding.facts)


def test_a_crash_in_the_soak_makes_what_showed_unstable() -> None:
    soak = dataclasses.replace(
        process("appsec", "", VERSION),
        purpose="soak",
        exchanges=(),
        agent=(),
        exit_code=-11,
        soak=Soak(sent=70, statuses={"200": 69}, errors={}, benign=None, alive=False, seconds=1.0),
    )
    seen = capture(MINIMUM)
    finding = find(dataclasses.replace(seen, processes=(*seen.processes, soak)))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.UNSTABLE)
    assert dict(finding.repeats) == {"present": 1, "crashed in the soak": 1}
    assert any("signal 11" in remark_text(note) for note in finding.notes)


def test_a_crash_in_the_soak_of_another_setting_is_only_noted() -> None:
    soak = process("iast", "", VERSION, purpose="soak", exchanges=(), agent=(), exit_code=-11)
    seen = capture(MINIMUM)
    finding = find(dataclasses.replace(seen, processes=(*seen.processes, soak)))
    assert finding.shows is Observed.PRESENT
    assert finding.notes


def test_every_decisive_stimulus_must_show_and_the_others_are_notes() -> None:
    def stimuli(*, decisive: bool) -> tuple[Stimulus, ...]:
        return (
            Stimulus("attack", Says("blocked"), "/{shop}/"),
            Stimulus("other", Says("never"), "/{shop}/", decisive=decisive),
        )

    def with_other(setting: str, body: str) -> ProcessCapture:
        base = process(setting, body, VERSION)
        other = dataclasses.replace(base.exchanges[1], stimulus="other")
        return dataclasses.replace(base, exchanges=(*base.exchanges, other))

    seen = capture(MINIMUM, processes=[with_other("appsec", "blocked"), with_other("off", "fine")])
    (strict,) = findings_of(seen, (PROBE,), {PROBE: probe(stimuli=stimuli(decisive=True))})
    assert strict.shows is Observed.ABSENT
    assert "Other: body without 'never'" in evidence_text(strict.facts)
    (loose,) = findings_of(seen, (PROBE,), {PROBE: probe(stimuli=stimuli(decisive=False))})
    assert loose.shows is Observed.PRESENT
    assert any("other" in remark_text(note) for note in loose.notes)


def test_one_attempt_that_shows_is_enough() -> None:
    base = process("appsec", "welcome", VERSION)
    again = dataclasses.replace(base.exchanges[1], attempt=1, body="blocked")
    on = dataclasses.replace(base, exchanges=(*base.exchanges, again))
    finding = find(capture(MINIMUM, processes=[on, process("off", "fine", VERSION)]))
    assert finding.shows is Observed.PRESENT


def died_before_its_turn(repeat: int = 0) -> ProcessCapture:
    return process(
        "appsec",
        "",
        VERSION,
        repeat=repeat,
        exchanges=(exchange("", warm_up=True),),
        exit_code=-11,
        failed=Reason.CRASHED,
    )


def test_a_channel_whose_turn_did_not_come_is_judged_by_its_repeats() -> None:
    again = process("appsec", "blocked", VERSION, repeat=1)
    off = process("off", "fine", VERSION)
    finding = find(capture(MINIMUM, processes=[died_before_its_turn(), off, again]))
    assert (finding.shows, finding.repeats) == (Observed.PRESENT, (("present", 1),))


def test_a_channel_whose_turn_never_came_crashed() -> None:
    finding = find(capture(MINIMUM, processes=[died_before_its_turn(), died_before_its_turn(1)]))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.CRASHED)


def test_a_repeat_for_another_channel_that_did_not_start_does_not_count() -> None:
    seen = capture(MINIMUM)
    late = dataclasses.replace(died_before_its_turn(1), exchanges=(), agent=())
    finding = find(dataclasses.replace(seen, processes=(*seen.processes, late)))
    assert finding.shows is Observed.PRESENT
