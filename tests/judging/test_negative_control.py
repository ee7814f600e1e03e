"""The negative control: only the silence of an app that works proves something."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import pytest
from helpers.run_fakes import MINIMUM, PROBE, Says, capture, exchange, probe, process, traced

from matrix.judging.cells import cell_failure, findings_of
from matrix.judging.sentences import evidence_text
from matrix.model.capture import AgentRequest, CellCapture, ProcessCapture
from matrix.model.probe import Stimulus
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed

VERSION = "1.9.0"
ON = process("appsec", "blocked", VERSION)
ATTACK = (Stimulus("attack", Says("blocked"), "/{shop}/", plain=200),)


def untraced(body: str = "fine", **changes: Any) -> ProcessCapture:  # noqa: ANN401
    return process("untraced", body, VERSION, **changes)


def find(*processes: ProcessCapture, control: str = "untraced") -> Finding:
    declared = probe(control=control, stimuli=ATTACK)
    (finding,) = findings_of(capture(MINIMUM, processes=processes), (PROBE,), {PROBE: declared})
    return finding


def answered(status: int | None, setting: str = "untraced") -> ProcessCapture:
    made = process(setting, "fine", VERSION)
    last = dataclasses.replace(made.exchanges[-1], status=status)
    return dataclasses.replace(made, exchanges=(made.exchanges[0], last))


def polls(version: str) -> tuple[AgentRequest, ...]:
    told = {"client": {"client_tracer": {"tracer_version": version}}}
    return (AgentRequest(1.0, "POST", "/v0.7/config", {}, told),)


@pytest.mark.parametrize("agent", [(), polls(VERSION)], ids=["says nothing", "polls"])
def test_a_process_without_tracing_is_alive_by_its_answers(agent: tuple[AgentRequest, ...]) -> None:
    finding = find(ON, untraced(agent=agent))
    assert (finding.shows, finding.reason) == (Observed.PRESENT, None)
    assert "With the feature off it does not show" in evidence_text(finding.facts)


def test_what_shows_without_tracing_too_proves_nothing() -> None:
    finding = find(ON, untraced("blocked"))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.SHOWS_WITHOUT_FEATURE)
    assert "untraced" in evidence_text(finding.facts)


def test_what_shows_counts_also_where_the_process_died_of_it() -> None:
    died = untraced("blocked", exit_code=-11, failed=Reason.CRASHED)
    assert find(ON, died).reason is Reason.SHOWS_WITHOUT_FEATURE


def test_a_capture_from_before_there_was_the_control_confirms_nothing() -> None:
    finding = find(ON, process("off", "fine", VERSION))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)
    assert "'attack' was not sent" in evidence_text(finding.facts)


@pytest.mark.parametrize("status", [403, 404, 500, None])
def test_an_app_that_answers_otherwise_than_by_itself_is_no_control(status: int | None) -> None:
    finding = find(ON, answered(status))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)
    assert f"answered {status}" in evidence_text(finding.facts) or status is None


def test_what_is_declared_without_a_status_may_be_anything_but_a_server_error() -> None:
    declared = {PROBE: probe(control="untraced")}

    def shows(status: int) -> Observed:
        seen = capture(MINIMUM, processes=[ON, answered(status)])
        (finding,) = findings_of(seen, (PROBE,), declared)
        return finding.shows

    assert [shows(status) for status in (200, 401, 403, 500, 503)] == [
        *[Observed.PRESENT] * 3,
        *[Observed.UNKNOWN] * 2,
    ]


def test_one_good_answer_in_any_process_is_enough() -> None:
    again = dataclasses.replace(untraced(), repeat=1)
    assert find(ON, answered(500), again).shows is Observed.PRESENT


def test_another_page_than_the_apps_own_is_no_life_sign() -> None:
    made = untraced()
    stranger = dataclasses.replace(made.exchanges[0], body="It works!")
    other = dataclasses.replace(made, exchanges=(stranger, *made.exchanges[1:]))
    assert find(ON, other).reason is Reason.BROKEN_START


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exchanges": (), "failed": Reason.TIMED_OUT, "detail": "late"}, Reason.TIMED_OUT),
        ({"exit_code": -11, "failed": Reason.CRASHED}, Reason.CRASHED),
        ({"failed": Reason.AGENT_FAILED, "detail": "the agent"}, Reason.AGENT_FAILED),
        ({"agent": polls("1.8.0")}, Reason.WRONG_INSTALL),
    ],
    ids=["not ready", "died with what it held", "agent failed", "another version"],
)
def test_a_control_that_did_not_live_to_its_end_has_its_own_reason(
    changes: dict[str, Any], reason: Reason
) -> None:
    finding = find(ON, untraced(**changes))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, reason)


def only_warm_up_traced() -> ProcessCapture:
    off = process("off", "fine", VERSION)
    return dataclasses.replace(off, agent=traced(off.exchanges[:1], VERSION))


def test_with_tracing_on_a_control_must_leave_its_span() -> None:
    finding = find(ON, only_warm_up_traced(), control="off")
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)
    assert "left no span" in evidence_text(finding.facts)


def broken_cell(processes: Iterable[ProcessCapture]) -> CellCapture:
    return dataclasses.replace(capture(MINIMUM, processes=processes), identity=None)


def test_an_untraced_process_does_not_hide_that_the_tracer_never_started() -> None:
    dead = process(
        "appsec",
        "",
        VERSION,
        exchanges=(exchange("", warm_up=True),),
        agent=(),
        failed=Reason.BROKEN_START,
        detail="no span arrives",
    )
    failure = cell_failure(broken_cell([dead, untraced()]))
    assert failure is not None
    assert failure.reason is Reason.BROKEN_START
    assert "No span" in evidence_text(failure.facts)


OFF = process("appsec", "fine", VERSION)


@pytest.mark.parametrize("status", [500, 404, None])
def test_what_is_missing_where_the_app_fails_by_itself_says_nothing_of_the_tracer(
    status: int | None,
) -> None:
    finding = find(OFF, answered(status))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.BROKEN_START)
    assert "The app itself fails" in evidence_text(finding.facts)


def test_what_is_missing_where_the_app_works_by_itself_is_missing() -> None:
    assert find(OFF, answered(200)).shows is Observed.ABSENT


def test_what_fails_with_the_tracer_only_is_missing() -> None:
    broken = process("appsec", "fine", VERSION)
    last = dataclasses.replace(broken.exchanges[-1], status=500)
    broken = dataclasses.replace(broken, exchanges=(broken.exchanges[0], last))
    assert find(broken, answered(200)).shows is Observed.ABSENT


def test_one_answer_of_the_app_by_itself_is_enough() -> None:
    assert find(OFF, answered(500), answered(200)).shows is Observed.ABSENT


def test_what_is_missing_where_no_control_was_sent_is_missing() -> None:
    assert find(OFF).shows is Observed.ABSENT


def test_what_fails_where_no_control_was_sent_may_fail_by_itself() -> None:
    finding = find(answered(500, "appsec"))
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)
    assert "Nobody knows whether the app works by itself" in evidence_text(finding.facts)


def test_what_fails_where_the_control_did_not_live_may_fail_by_itself() -> None:
    dead = untraced(failed=Reason.TIMED_OUT, detail="no time left", exchanges=())
    finding = find(answered(500, "appsec"), dead)
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)


def test_a_process_that_works_with_the_feature_on_shows_that_the_app_does() -> None:
    assert find(answered(500, "appsec"), OFF).shows is Observed.ABSENT
