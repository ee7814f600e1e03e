"""The app without the tracer as a control: what breaks an app, and what proves nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest
from helpers.run_fakes import (
    CONTROL,
    MINIMUM,
    PROBE,
    Says,
    capture,
    exchange,
    finding,
    part,
    probe,
    process,
)
from helpers.run_fakes import claim as make_claim
from helpers.run_fakes import plan as make_plan

from matrix.judging.cells import cell_failure, findings_of
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text
from matrix.model.capture import BARE, ProcessCapture
from matrix.model.claim import ClaimKind
from matrix.model.fact import FactKind
from matrix.model.probe import Compared, Stimulus
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome

VERSION = "1.9.0"
ATTACK = Stimulus("attack", Says("blocked"), "/{shop}/", plain=200, compared=Compared.ANSWER)
BLOCKED = dataclasses.replace(ATTACK, compared=Compared.NOTHING)
SAME_STATUS = dataclasses.replace(ATTACK, compared=Compared.STATUS)


def answered(item: ProcessCapture, body: str, status: int | None = 200) -> ProcessCapture:
    warm_up, sent = item.exchanges
    error = None if status else "ConnectionResetError: reset"
    sent = dataclasses.replace(sent, status=status, body=body, error=error)
    return dataclasses.replace(item, exchanges=(warm_up, sent))


def on(body: str = "blocked", status: int | None = 200, repeat: int = 0) -> ProcessCapture:
    return answered(process("appsec", body, VERSION, repeat), body, status)


def off(body: str = "blocked", status: int | None = 200) -> ProcessCapture:
    return answered(process("untraced", body, VERSION), body, status)


def bare(*bodies: str, status: int = 200) -> ProcessCapture:
    made = process(BARE, "", VERSION, traced=False, agent=())
    sent = [
        dataclasses.replace(exchange(body, control=True, number=number), status=status)
        for number, body in enumerate(bodies, start=3)
    ]
    return dataclasses.replace(made, exchanges=(made.exchanges[0], *sent))


def not_started(setting: str, repeat: int = 0) -> ProcessCapture:
    return process(
        setting,
        "",
        VERSION,
        repeat,
        exchanges=(),
        agent=(),
        boot_seconds=None,
        exit_code=1,
        failed=Reason.BROKEN_START,
        detail="ended with exit code 1 before it was ready",
        log="Traceback\nAttributeError: no such thing",
    )


def find(processes: Iterable[ProcessCapture], stimulus: Stimulus = ATTACK) -> Finding:
    probes = {PROBE: probe(stimuli=(stimulus,), control="untraced")}
    (found,) = findings_of(capture(MINIMUM, processes=processes), (PROBE,), probes)
    return found


def test_an_app_that_starts_only_without_the_tracer_is_broken_by_it() -> None:
    processes = [not_started("appsec", repeat) for repeat in range(3)]
    found = find([*processes, not_started("untraced"), bare("blocked", "blocked")])
    assert (found.shows, found.reason) == (Observed.ABSENT, Reason.BREAKS_APP)
    text = evidence_text(found.facts)
    assert "does not start under the tracer (3 of 3)" in text
    assert "AttributeError: no such thing" in text
    assert "fails with tracing off too" in text
    assert "Without ddtrace it works" in text


def test_two_processes_are_too_few_to_blame_the_tracer() -> None:
    processes = [not_started("appsec", repeat) for repeat in range(2)]
    found = find([*processes, bare("blocked")])
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.BROKEN_START)


def test_an_app_that_fails_without_the_tracer_too_blames_nobody() -> None:
    processes = [not_started("appsec", repeat) for repeat in range(3)]
    found = find([*processes, dataclasses.replace(not_started(BARE), traced=False)])
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.APP_FAILS)
    assert "fails without ddtrace as well" in evidence_text(found.facts)


def test_without_a_bare_control_a_failed_start_stays_one() -> None:
    found = find([not_started("appsec", repeat) for repeat in range(3)])
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.BROKEN_START)


def test_one_process_that_works_is_enough_not_to_blame_the_tracer() -> None:
    processes = [not_started("appsec", 0), not_started("appsec", 1), on(repeat=2)]
    found = find([*processes, off("fine"), bare("blocked")])
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.UNSTABLE)


def test_another_answer_in_every_repeat_is_a_broken_app_whatever_else_shows() -> None:
    processes = [on("blocked AttributeError", 200, repeat) for repeat in range(3)]
    found = find([*processes, off("blocked"), bare("blocked", "blocked")])
    assert (found.shows, found.reason) == (Observed.ABSENT, Reason.BREAKS_APP)
    text = evidence_text(found.facts)
    assert "answers otherwise" in text
    assert "With tracing off it works" in text


@pytest.mark.parametrize(("status", "body"), [(500, "error"), (None, "")])
def test_an_error_where_the_app_answers_alone_is_a_broken_app(
    status: int | None, body: str
) -> None:
    processes = [on(body, status, repeat) for repeat in range(3)]
    found = find([*processes, bare("welcome")], BLOCKED)
    assert (found.shows, found.reason) == (Observed.ABSENT, Reason.BREAKS_APP)


def test_a_block_is_no_broken_app() -> None:
    processes = [on("blocked", 403, repeat) for repeat in range(3)]
    found = find([*processes, off("fine"), bare("welcome")], BLOCKED)
    assert (found.shows, found.reason) == (Observed.PRESENT, None)


def test_what_differs_between_two_answers_of_the_app_alone_is_not_compared() -> None:
    processes = [on(f"blocked {number}", repeat=number) for number in range(3)]
    found = find([*processes, off("fine"), bare("fine 8", "fine 9")])
    assert found.shows is Observed.PRESENT


def test_answers_that_could_not_be_compared_confirm_nothing() -> None:
    found = find([on(), off("fine"), bare("blocked", status=500)])
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)


def test_an_app_that_is_traced_only_with_the_feature_off_starts_untraced() -> None:
    untraced = [process("appsec", "welcome", VERSION, repeat, agent=()) for repeat in range(3)]
    probes = {PROBE: probe(stimuli=(BLOCKED,))}
    processes = [*untraced, process("off", "welcome", VERSION), bare("welcome")]
    (found,) = findings_of(capture(MINIMUM, processes=processes), (PROBE,), probes)
    assert (found.shows, found.reason) == (Observed.ABSENT, Reason.BREAKS_APP)
    assert "not traced any more" in evidence_text(found.facts)


def test_a_switch_of_tracing_that_does_nothing_leaves_the_bare_app_as_control() -> None:
    found = find([on(), off("blocked"), bare("fine")], SAME_STATUS)
    assert found.shows is Observed.PRESENT
    assert "its switch is no control here" in evidence_text(found.facts)


def test_the_bare_app_stands_in_for_the_switch_of_tracing() -> None:
    found = find([on(), bare("fine")], SAME_STATUS)
    assert found.shows is Observed.PRESENT
    assert "Without ddtrace it does not show." in evidence_text(found.facts)


def test_what_shows_without_the_tracer_too_proves_nothing() -> None:
    for processes in ([on(), off("fine"), bare("blocked")], [on(), bare("blocked")]):
        found = find(processes)
        assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.SHOWS_WITHOUT_FEATURE)


def test_the_bare_app_stands_in_for_no_switch_of_a_feature() -> None:
    probes = {PROBE: probe(stimuli=(SAME_STATUS,))}
    (found,) = findings_of(capture(MINIMUM, processes=[on(), bare("fine")]), (PROBE,), probes)
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)


def test_what_is_missing_where_the_bare_app_fails_says_nothing_of_the_tracer() -> None:
    found = find([on("fine"), bare("fine", status=500)], SAME_STATUS)
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.BROKEN_START)


def test_a_switch_of_a_feature_that_does_nothing_proves_nothing() -> None:
    found = find([on(), off("blocked"), bare("welcome")], BLOCKED)
    assert (found.shows, found.reason) == (Observed.UNKNOWN, Reason.SHOWS_WITHOUT_FEATURE)


def test_a_cell_whose_app_works_alone_has_an_answer() -> None:
    processes = [not_started("appsec", repeat) for repeat in range(3)]
    assert cell_failure(capture(MINIMUM, processes=processes)) is not None
    assert cell_failure(capture(MINIMUM, processes=[*processes, bare("blocked")])) is None


def broken() -> Finding:
    return dataclasses.replace(finding(MINIMUM, Observed.ABSENT), reason=Reason.BREAKS_APP)


def test_a_broken_app_refutes_its_claim_without_another_control() -> None:
    promised = make_claim()
    (verdict,) = judge(make_plan([promised], [part(promised)]), FindingTable([broken()]))
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUTED, Reason.BREAKS_APP)


def test_a_broken_app_does_not_confirm_that_a_capability_is_missing() -> None:
    denied = part(make_claim(), expects_absent=True)
    verdict = judge_part(denied, FindingTable([broken()]))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.BREAKS_APP)


def test_a_library_that_is_traced_unasked_is_not_to_be_broken_either() -> None:
    row = part(make_claim(kind=ClaimKind.INTEGRATION), expects_absent=True, pick="lowest")
    assert judge_part(row, FindingTable([broken()])).outcome is Outcome.REFUTED


def test_the_newest_of_a_branch_tells_nothing_of_what_the_documented_minimum_lacks() -> None:
    head = part(make_claim(), minimum=CONTROL, before=None, controls=(MINIMUM,))
    table = FindingTable([finding(CONTROL, Observed.PRESENT), broken()])
    verdict = judge_part(head, table)
    assert verdict.outcome is Outcome.CONFIRMED
    assert not [remark for remark in verdict.remarks if remark.kind is FactKind.NEWEST_LACKS]
