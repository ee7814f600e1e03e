"""The control of a place: outside of it, something else must show."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import CHANNEL, MINIMUM, PROBE, PROBES, capture, claim, failed, part, process

from matrix.judging.cells import findings_of
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text
from matrix.model.capture import OUTSIDE, AgentRequest, ProcessCapture
from matrix.model.cell import Cell
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict
from matrix.probes.places import load_places, outside_channel

VERSION = "1.9.0"
# The library, not the extension, detects threats in it.
LATER = "3.10.2"
FARGATE = f"{MINIMUM}-in-fargate-shaped"
LAMBDA = f"{MINIMUM}-in-lambda-emulated".replace(VERSION, LATER)


def outside(body: str, **changes: object) -> ProcessCapture:
    """Return a process outside of a place that is silent there."""
    silent = {"purpose": OUTSIDE, "traced": False, "agent": ()}
    return process("appsec", body, VERSION, **{**silent, **changes})  # type: ignore[arg-type]


def renamed(process: ProcessCapture, name: str) -> ProcessCapture:
    """Return the process with another name for all of its spans."""
    (request,) = process.agent
    body = [[{**span, "name": name} for span in trace] for trace in request.body]
    agent: tuple[AgentRequest, ...] = (dataclasses.replace(request, body=body),)
    return dataclasses.replace(process, agent=agent)


def find(cell: str, *without: ProcessCapture, body: str = "blocked") -> dict[str, Finding]:
    version = Cell.parse(cell).ddtrace
    inside = process("appsec", body, version), process("off", "fine", version)
    seen = capture(cell, processes=[*inside, *without])
    return {item.channel: item for item in findings_of(seen, (PROBE,), PROBES)}


def left(body: str, version: str = LATER) -> ProcessCapture:
    """Return a process outside of a place that it can leave."""
    return process("appsec", body, version, purpose=OUTSIDE)


def test_a_cell_without_a_place_has_no_finding_outside() -> None:
    assert list(find(MINIMUM)) == [CHANNEL]


def test_what_shows_counts_where_nothing_arrives_outside() -> None:
    found = find(FARGATE, outside("fine"))
    assert found[CHANNEL].shows is Observed.PRESENT
    assert "nothing arrives" in evidence_text(found[CHANNEL].facts)
    assert found[outside_channel(CHANNEL)].shows is Observed.ABSENT


def test_an_answer_that_needs_no_agent_may_be_the_same_outside() -> None:
    assert find(FARGATE, outside("blocked"))[CHANNEL].shows is Observed.PRESENT


def test_a_place_had_no_part_where_something_arrives_outside_all_the_same() -> None:
    for body in ("blocked", "fine"):
        arrived = outside(body, traced=True, agent=process("appsec", body, VERSION).agent)
        finding = find(FARGATE, arrived)[CHANNEL]
        assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_PART_OF_PLACE)


@pytest.mark.parametrize(
    "without",
    [(), (outside("", exchanges=(), failed=Reason.BROKEN_START),)],
    ids=["not run", "did not start"],
)
def test_nothing_counts_where_it_could_not_be_tried_outside(
    without: tuple[ProcessCapture, ...],
) -> None:
    finding = find(FARGATE, *without)[CHANNEL]
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_CONTROL)


def test_a_place_that_an_app_can_leave_shows_other_spans() -> None:
    same = left("blocked")
    assert find(LAMBDA, same)[CHANNEL].reason is Reason.NO_PART_OF_PLACE
    finding = find(LAMBDA, renamed(same, "wsgi.request"))[CHANNEL]
    assert finding.shows is Observed.PRESENT
    assert "django.request" in evidence_text(finding.facts)


def test_more_spans_outside_are_no_part_of_the_place() -> None:
    same = left("blocked")
    (request,) = same.agent
    more = [[*trace, {**trace[0], "name": "other", "span_id": 9, "parent_id": trace[0]["span_id"]}]
            for trace in request.body]  # fmt: skip
    agent = (dataclasses.replace(request, body=more),)
    finding = find(LAMBDA, dataclasses.replace(same, agent=agent))[CHANNEL]
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NO_PART_OF_PLACE)


def test_what_does_not_show_outside_is_said_to_be_the_difference() -> None:
    finding = find(LAMBDA, left("welcome"))[CHANNEL]
    assert finding.shows is Observed.PRESENT
    assert "Outside of the deployment it does not show." in evidence_text(finding.facts)


def test_an_app_that_loses_its_tracer_outside_is_another_one() -> None:
    untraced = dataclasses.replace(left("blocked"), agent=())
    finding = find(LAMBDA, untraced)[CHANNEL]
    assert finding.shows is Observed.PRESENT
    assert "django.request" in evidence_text(finding.facts)


def denied(found: dict[str, Finding], name: str) -> PartVerdict:
    cell = Cell.parse(LAMBDA)
    wanted = part(
        claim(),
        minimum=cell,
        before=None,
        controls=(cell,),
        expects_absent=True,
        control_channel=outside_channel(CHANNEL),
    )
    return judge_part(dataclasses.replace(wanted, probe=name), FindingTable(found.values()))


def test_what_is_denied_of_a_place_is_confirmed_by_what_shows_outside() -> None:
    verdict = denied(find(LAMBDA, left("blocked"), body="welcome"), PROBE)
    assert verdict.outcome is Outcome.CONFIRMED
    assert "Outside of the deployment" in evidence_text(verdict.facts)
    verdict = denied(find(LAMBDA, left("welcome"), body="welcome"), PROBE)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.CONTROL_FAILED)


def test_what_the_extension_would_pass_on_refutes_no_denial() -> None:
    (name,) = load_places()["lambda-emulated"].extension_forwards
    found = find(LAMBDA, renamed(left("blocked"), "wsgi.request"))
    assert denied(found, PROBE).outcome is Outcome.REFUTED
    of_extension = {
        channel: dataclasses.replace(finding, probe=name) for channel, finding in found.items()
    }
    verdict = denied(of_extension, name)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.NEEDS_EXTENSION)
    assert "blocked" in evidence_text(verdict.facts)


def test_what_the_extension_detects_is_not_missing_in_the_library() -> None:
    detects = load_places()["lambda-emulated"].extension_detects
    assert detects["threat-detection"] == "<3.10"
    assert PROBE == "threat-detection"
    early = LAMBDA.replace(LATER, VERSION)
    finding = find(early, left("blocked", VERSION), body="welcome")[CHANNEL]
    assert (finding.shows, finding.reason) == (Observed.UNKNOWN, Reason.NEEDS_EXTENSION)
    finding = find(LAMBDA, left("blocked"), body="welcome")[CHANNEL]
    assert finding.shows is Observed.ABSENT


def missing_in_place(ordinary: str | None) -> PartVerdict:
    """Return the verdict where a place lacks it, and an ordinary container has this answer."""
    cell = Cell.parse(FARGATE)
    beside = dataclasses.replace(cell, place="")
    findings = list(find(FARGATE, outside("fine"), body="welcome").values())
    if ordinary is not None:
        findings += find(MINIMUM, body=ordinary).values()
    wanted = part(claim(), minimum=cell, before=None, controls=())
    return judge_part(dataclasses.replace(wanted, beside=(beside,)), FindingTable(findings))


def test_what_only_a_place_lacks_refutes_its_claim() -> None:
    verdict = missing_in_place("blocked")
    assert (verdict.outcome, verdict.reason) == (Outcome.REFUTED, None)
    assert "ordinary container shows it" in evidence_text(verdict.facts)


def test_what_an_ordinary_container_lacks_too_is_not_the_place_s_doing() -> None:
    verdict = missing_in_place("welcome")
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.NO_PART_OF_PLACE)
    verdict = missing_in_place(None)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.NO_CONTROL)


def test_a_cell_that_failed_has_its_reason() -> None:
    (finding,) = findings_of(failed(FARGATE, Reason.ENGINE_LOST), (PROBE,), PROBES)
    assert finding.reason is Reason.ENGINE_LOST
