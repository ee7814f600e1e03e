"""The gate: only claims that are confirmed by recent evidence, and often enough, pass."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable

import pytest
from helpers.signoff_fixture import (
    CELL,
    GATE_POLICY,
    NOW,
    OTHER,
    WAIVER,
    WHERE,
    claim,
    expected,
    record,
    refute_last_part,
)

from matrix.errors import UnreadableInputError
from matrix.features.qualification.expected import ExpectedRelease
from matrix.features.qualification.gate import ClaimFate, GateDecision, decide
from matrix.features.qualification.policy import Policy
from matrix.features.qualification.report import Commands, headline
from matrix.model.fact import FactKind, fact
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome
from matrix.runs.record import Record


def shortfall_kinds(decision: GateDecision) -> list[str]:
    return [shortfall.kind for judged in decision.judged for shortfall in judged.shortfalls]


def test_confirmed_recent_and_repeated_results_pass() -> None:
    decision = decide(expected(), record(), GATE_POLICY, NOW)
    assert decision.passed
    assert [judged.fate for judged in decision.judged] == [ClaimFate.PASSED]


@pytest.mark.parametrize(
    ("recorded", "kind"),
    [
        (record(outcome=Outcome.REFUTED), "refuted"),
        (record(outcome=Outcome.UNVERIFIED, reason=Reason.UNSTABLE), "unverified (unstable)"),
        (record(started=NOW - dt.timedelta(days=8)), "stale"),
        (record(started=NOW + dt.timedelta(days=1)), "stale"),
        (record(times=1), "too few"),
        (record(OTHER), "absent"),
        (dataclasses.replace(record(), cells=()), "absent"),
        (dataclasses.replace(record(), verdicts=(), claims=()), "absent"),
    ],
)
def test_other_results_do_not_pass(recorded: Record, kind: str) -> None:
    decision = decide(expected(), recorded, GATE_POLICY, NOW)
    assert not decision.passed
    assert kind in shortfall_kinds(decision)


def test_what_stands_in_for_a_deployment_passes_where_the_policy_names_its_place() -> None:
    cell = dataclasses.replace(CELL, place="fargate-shaped")
    decision = decide(expected(cell), record(cell), GATE_POLICY, NOW)
    assert shortfall_kinds(decision) == ["shape"]
    (judged,) = decision.judged
    assert "not on AWS" in judged.shortfalls[0].detail
    accepting = dataclasses.replace(GATE_POLICY, places=frozenset({"fargate-shaped"}))
    assert decide(expected(cell), record(cell), accepting, NOW).passed


def test_the_deployment_itself_passes_under_any_policy() -> None:
    cell = dataclasses.replace(CELL, place="kubernetes")
    assert decide(expected(cell), record(cell), GATE_POLICY, NOW).passed


def test_one_part_that_is_missing_is_enough_to_fail() -> None:
    decision = decide(expected(CELL, OTHER), record(CELL), GATE_POLICY, NOW)
    assert shortfall_kinds(decision) == ["absent"]


def test_a_claim_without_an_experiment_is_missing_and_not_passed() -> None:
    decision = decide(expected(left_out=(("no-probe", "asgi"),)), record(), GATE_POLICY, NOW)
    assert not decision.passed
    assert shortfall_kinds(decision) == ["missing"]


def test_targets_that_are_not_required_do_not_count() -> None:
    policy = dataclasses.replace(GATE_POLICY, targets=("linux_x86_64",))
    assert decide(expected(CELL, OTHER), record(CELL), policy, NOW).passed


def test_every_required_target_needs_an_experiment() -> None:
    policy = dataclasses.replace(GATE_POLICY, targets=("linux_x86_64", "linux_i686"))
    decision = decide(expected(), record(), policy, NOW)
    assert [one.detail for one in decision.judged[0].shortfalls] == ["no experiment on linux_i686"]


def test_a_promise_about_none_of_the_targets_is_not_required() -> None:
    policy = dataclasses.replace(GATE_POLICY, targets=("linux_x86_64",))
    first = expected().claims[0]
    other = dataclasses.replace(first, id="page/runtime/windows", targets=("win_amd64",))
    both = dataclasses.replace(expected(), claims=(first, other))
    assert len(decide(both, record(), policy, NOW).judged) == 1
    with pytest.raises(UnreadableInputError, match="nothing is required"):
        decide(dataclasses.replace(both, claims=(other,)), record(), policy, NOW)


def _with_part(recorded: Record, **changes: object) -> Record:
    verdict = recorded.verdicts[0]
    part = dataclasses.replace(verdict.parts[0], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(recorded, verdicts=(dataclasses.replace(verdict, parts=(part,)),))


def _with_cells(recorded: Record, **changes: object) -> Record:
    return dataclasses.replace(
        recorded,
        cells=tuple(dataclasses.replace(cell, **changes) for cell in recorded.cells),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("recorded", "kind"),
    [
        (_with_cells(record(), started=""), "stale"),
        (_with_cells(record(), started="2026-11-20T12:00:00"), "stale"),  # of which zone?
        (_with_part(record(), cells=(CELL, OTHER)), "absent"),  # its control is gone
        (_with_cells(record(), where=None), "another artifact"),
        (
            _with_cells(record(), where=dataclasses.replace(WHERE, tracer=("f" * 64,))),
            "another artifact",
        ),
        # The file of another platform, or C library, is none that the cell can have had.
        (
            _with_cells(record(), where=dataclasses.replace(WHERE, tracer=("b" * 64, "c" * 64))),
            "another artifact",
        ),
        (
            dataclasses.replace(record(), claims=(dataclasses.replace(claim(), sha256="1" * 64),)),
            "another document",
        ),
    ],
)
def test_unrelated_evidence_does_not_count(recorded: Record, kind: str) -> None:
    assert kind in shortfall_kinds(decide(expected(), recorded, GATE_POLICY, NOW))


def test_a_control_that_is_too_old_makes_the_answer_stale() -> None:
    old = record(OTHER, started=NOW - dt.timedelta(days=30)).cells
    recorded = _with_part(record(), cells=(CELL, OTHER))
    recorded = dataclasses.replace(recorded, cells=(*recorded.cells, *old))
    decision = decide(expected(), recorded, GATE_POLICY, NOW)
    assert [(one.kind, one.cell) for one in decision.judged[0].shortfalls] == [("stale", OTHER.id)]


def test_unexpected_recorded_parts_count_too() -> None:
    recorded = refute_last_part(record(CELL, OTHER))
    assert shortfall_kinds(decide(expected(CELL), recorded, GATE_POLICY, NOW)) == ["refuted"]


def test_a_verdict_that_disagrees_with_its_parts_counts() -> None:
    recorded = record()
    verdict = dataclasses.replace(
        recorded.verdicts[0], outcome=Outcome.UNVERIFIED, reason=Reason.NOT_SELECTED
    )
    decision = decide(
        expected(), dataclasses.replace(recorded, verdicts=(verdict,)), GATE_POLICY, NOW
    )
    assert shortfall_kinds(decision) == ["unverified (not-selected)"]


def test_a_waiver_covers_a_failure_but_passes_nothing() -> None:
    policy = dataclasses.replace(GATE_POLICY, waivers=(WAIVER,))
    decision = decide(expected(), record(outcome=Outcome.REFUTED), policy, NOW)
    assert [judged.fate for judged in decision.judged] == [ClaimFate.WAIVED]
    assert not decision.passed, "nothing passed at all"


def test_an_idle_waiver_is_reported() -> None:
    policy = dataclasses.replace(GATE_POLICY, waivers=(WAIVER,))
    decision = decide(expected(), record(), policy, NOW)
    assert decision.passed
    assert decision.idle == (WAIVER,)


def _expired() -> Policy:
    return dataclasses.replace(
        GATE_POLICY, waivers=(dataclasses.replace(WAIVER, until=dt.date(2026, 11, 19)),)
    )


def _for_nothing() -> Policy:
    waiver = dataclasses.replace(WAIVER, claims=("page/capability/scaa",))
    return dataclasses.replace(GATE_POLICY, waivers=(waiver,))


def _of_what_is_not_required() -> Policy:
    return dataclasses.replace(GATE_POLICY, claims=("*",), not_claims=("*/sca",), waivers=(WAIVER,))


def _requires_nothing() -> Policy:
    return dataclasses.replace(GATE_POLICY, not_claims=("*",))


@pytest.mark.parametrize(
    ("make_policy", "message"),
    [
        (_expired, "expired on 2026-11-19"),
        (_for_nothing, "did you mean 'page/capability/sca'?"),
        (_of_what_is_not_required, "matches no required claim"),
        (_requires_nothing, "nothing is required"),
        (lambda: dataclasses.replace(GATE_POLICY, claims=("*/sac",)), "matches no claim"),
    ],
)
def test_a_policy_that_does_not_fit_is_an_error(
    make_policy: Callable[[], Policy], message: str
) -> None:
    with pytest.raises(UnreadableInputError) as caught:
        decide(expected(), record(), make_policy(), NOW)
    assert message in caught.value.message


def test_a_waiver_holds_on_its_last_day() -> None:
    last = dataclasses.replace(WAIVER, until=NOW.date())
    decide(expected(), record(), dataclasses.replace(GATE_POLICY, waivers=(last,)), NOW)


def test_expectations_survive_json() -> None:
    expectations = expected(CELL, OTHER)
    data = json.loads(json.dumps(expectations.to_json()))
    assert ExpectedRelease.from_json(data) == expectations
    assert set(data["claims"][0]["parts"][0]) == {"probe", "channel", "cell", "holds_without"}


def test_expecting_cells_of_another_release_is_refused() -> None:
    data = {**expected().to_json(), "ddtrace": "2.21.13"}
    with pytest.raises(ValueError, match=r"2\.21\.13"):
        ExpectedRelease.from_json(data)


def _with_finding(recorded: Record, **changes: object) -> Record:
    finding = dataclasses.replace(recorded.cells[0].findings[0], **changes)  # type: ignore[arg-type]
    return _with_cells(recorded, findings=(finding,))


@pytest.mark.parametrize(
    "recorded",
    [
        _with_cells(record(), findings=()),
        _with_finding(record(), channel="another"),
        _with_finding(record(), shows=Observed.ABSENT, repeats=(("absent", 2),)),
        _with_finding(record(), shows=Observed.UNKNOWN, reason=Reason.UNSTABLE),
        _with_finding(record(), repeats=(("present", 2), ("absent", 1))),
    ],
)
def test_a_confirmation_without_its_findings_does_not_pass(recorded: Record) -> None:
    assert shortfall_kinds(decide(expected(), recorded, GATE_POLICY, NOW)) == ["too few"]


def _absence(*control_findings: Finding) -> tuple[ExpectedRelease, Record]:
    """Return a part that expects absence, whose control cell has these findings."""
    absent = record().cells[0].findings[0]
    absent = dataclasses.replace(absent, shows=Observed.ABSENT, repeats=(("absent", 2),))
    own = dataclasses.replace(record().cells[0], findings=(absent,))
    control = dataclasses.replace(record(OTHER).cells[0], findings=control_findings)
    recorded = dataclasses.replace(_with_part(record(), cells=(CELL, OTHER)), cells=(own, control))
    first = expected().claims[0]
    part = dataclasses.replace(first.parts[0], expects_absent=True)
    claims = (dataclasses.replace(first, parts=(part,)),)
    return dataclasses.replace(expected(), claims=claims), recorded


def test_an_absence_passes_where_its_control_shows() -> None:
    shown = record(OTHER).cells[0].findings[0]
    assert decide(*_absence(shown), GATE_POLICY, NOW).passed
    by_another = dataclasses.replace(shown, channel="control")
    assert decide(*_absence(by_another), GATE_POLICY, NOW).passed


def test_an_absence_without_its_own_control_does_not_pass() -> None:
    shown = record(OTHER).cells[0].findings[0]
    absent = dataclasses.replace(shown, shows=Observed.ABSENT, repeats=(("absent", 2),))
    other = dataclasses.replace(shown, probe="iast")
    for findings in ((), (absent,), (other,)):
        assert shortfall_kinds(decide(*_absence(*findings), GATE_POLICY, NOW)) == ["no control"]


def test_a_refutation_by_the_index_counts_beside_targets_that_are_not_required() -> None:
    # What the package index refutes is refuted, whatever is open elsewhere.
    recorded = record(CELL, OTHER)
    first, second = recorded.verdicts[0].parts
    second = dataclasses.replace(second, outcome=Outcome.UNVERIFIED, reason=Reason.CRASHED)
    verdict = dataclasses.replace(
        recorded.verdicts[0], outcome=Outcome.REFUTED, parts=(first, second)
    )
    policy = dataclasses.replace(GATE_POLICY, targets=("linux_x86_64",))
    recorded = dataclasses.replace(recorded, verdicts=(verdict,))
    assert shortfall_kinds(decide(expected(CELL, OTHER), recorded, policy, NOW)) == ["refuted"]


def _broken(outcome: Outcome = Outcome.REFUTED) -> Record:
    broken = fact(FactKind.BREAKS_APP, way="crashes", count=3, tracing_off="unknown")
    facts = (fact(FactKind.RELEASE, CELL, by="tracer", facts=[broken]),)
    recorded = record(outcome=outcome, reason=Reason.BREAKS_APP)
    return _with_part(recorded, facts=facts)


@pytest.mark.parametrize("outcome", [Outcome.REFUTED, Outcome.UNVERIFIED])
def test_a_release_that_breaks_the_app_fails_by_name(outcome: Outcome) -> None:
    decision = decide(expected(), _broken(outcome), GATE_POLICY, NOW)
    assert shortfall_kinds(decision) == ["breaks-app"]
    (shortfall,) = decision.judged[0].shortfalls
    assert shortfall.detail.startswith(
        "django 3.2 with ddtrace 2.21.12 on CPython 3.9: works without ddtrace, crashes with it. "
    )
    assert decision.named == {"breaks-app": 1}
    assert headline(decision, "2.21.12").endswith(
        "1 failed of 1 required claim; breaks-app in 1 claim;"
        " a release without any passed claim does not qualify"
    )
    commands = Commands("run", "reproduce CELL", "reproduce CELL --bare --run")
    assert commands.remedy(shortfall) == (
        f"reproduce it: reproduce {CELL.id}; without the tracer: reproduce {CELL.id} --bare --run"
    )


def test_a_release_that_fails_otherwise_has_no_such_name() -> None:
    decision = decide(expected(), record(outcome=Outcome.REFUTED), GATE_POLICY, NOW)
    assert decision.named == {}


def test_a_broken_app_confirms_no_absence() -> None:
    lines = expected()
    part = dataclasses.replace(lines.claims[0].parts[0], expects_absent=True)
    denied = dataclasses.replace(
        lines, claims=(dataclasses.replace(lines.claims[0], parts=(part,)),)
    )
    finding = dataclasses.replace(
        record().cells[0].findings[0],
        shows=Observed.ABSENT,
        reason=Reason.BREAKS_APP,
        repeats=(("absent", 3),),
    )
    recorded = _with_cells(record(), findings=(finding,))
    assert "too few" in shortfall_kinds(decide(denied, recorded, GATE_POLICY, NOW))
