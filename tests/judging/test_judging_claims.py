"""From findings to verdicts: the decision table, and what may never happen."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import BEFORE, CONTROL, MINIMUM, OLDER, claim, finding, ids, part, plan
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging.claims import judge
from matrix.judging.fallbacks import next_control
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.cell import Cell
from matrix.model.claim import ClaimKind
from matrix.model.plan import Omission
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome, Tightness, Verdict

P, A = Observed.PRESENT, Observed.ABSENT
CELLS = (MINIMUM, BEFORE, CONTROL, OLDER)
REASONS = (Reason.CRASHED, Reason.BROKEN_START, Reason.UNSTABLE, Reason.BUILD_FAILED)
SHOWN = st.sampled_from((P, A, *REASONS, None))


def table(*shown: Observed | Reason | None) -> FindingTable:
    return FindingTable(
        finding(cell, item) for cell, item in zip(CELLS, shown, strict=False) if item is not None
    )


@pytest.mark.parametrize(
    ("minimum", "before", "control", "older", "outcome", "tightness", "reason"),
    [
        (P, A, P, None, Outcome.CONFIRMED, Tightness.EXACT, None),
        (P, P, P, None, Outcome.CONFIRMED, Tightness.EARLIER, None),
        (P, Reason.BUILD_FAILED, P, None, Outcome.CONFIRMED, None, None),
        (P, None, None, None, Outcome.CONFIRMED, None, None),
        (P, A, A, None, Outcome.CONFIRMED, Tightness.EXACT, None),
        (A, A, P, None, Outcome.REFUTED, None, None),
        (A, A, Reason.BROKEN_START, P, Outcome.REFUTED, None, None),
        (A, A, A, A, Outcome.UNVERIFIED, None, Reason.CONTROL_FAILED),
        (A, P, Reason.CRASHED, None, Outcome.UNVERIFIED, None, Reason.CONTROL_FAILED),
        (Reason.CRASHED, A, P, None, Outcome.UNVERIFIED, None, Reason.CRASHED),
        (Reason.BROKEN_START, A, P, P, Outcome.UNVERIFIED, None, Reason.BROKEN_START),
        (Reason.UNSTABLE, P, P, P, Outcome.UNVERIFIED, None, Reason.UNSTABLE),
        (None, P, P, P, Outcome.UNVERIFIED, None, Reason.NOT_RUN),
    ],
)
def test_decision_table(  # noqa: PLR0917 - a row of the table
    minimum: Observed | Reason | None,
    before: Observed | Reason | None,
    control: Observed | Reason | None,
    older: Observed | Reason | None,
    outcome: Outcome,
    tightness: Tightness | None,
    reason: Reason | None,
) -> None:
    verdict = judge_part(part(claim()), table(minimum, before, control, older))
    assert (verdict.outcome, verdict.tightness, verdict.reason) == (outcome, tightness, reason)


@given(SHOWN, SHOWN, SHOWN, SHOWN)
def test_no_answer_goes_beyond_what_was_seen(
    minimum: Observed | Reason | None,
    before: Observed | Reason | None,
    control: Observed | Reason | None,
    older: Observed | Reason | None,
) -> None:
    verdict = judge_part(part(claim()), table(minimum, before, control, older))
    if verdict.outcome is Outcome.CONFIRMED:
        assert minimum is P
    if verdict.outcome is Outcome.REFUTED:
        assert minimum is A
        assert P in (control, older)
    assert (verdict.reason is None) == (verdict.outcome is not Outcome.UNVERIFIED)
    assert verdict.tightness is None or verdict.outcome is Outcome.CONFIRMED
    assert evidence_text(verdict.facts)
    assert MINIMUM in ids(verdict.cells)


@given(SHOWN, SHOWN, SHOWN)
def test_a_control_that_shows_never_turns_an_answer_green(
    minimum: Observed | Reason | None,
    before: Observed | Reason | None,
    older: Observed | Reason | None,
) -> None:
    def outcome(control: Observed | Reason | None) -> Outcome:
        return judge_part(part(claim()), table(minimum, before, control, older)).outcome

    assert (outcome(P) is Outcome.CONFIRMED) == (outcome(A) is Outcome.CONFIRMED)


def test_stepping_back_reports_both_releases() -> None:
    verdict = judge_part(part(claim()), table(A, A, Reason.BROKEN_START, P))
    assert verdict.outcome is Outcome.REFUTED
    assert {MINIMUM, CONTROL, OLDER} <= set(ids(verdict.cells))
    assert any(
        CONTROL in remark_text(remark) and "broken-start" in remark_text(remark)
        for remark in verdict.remarks
    )


def test_an_earlier_release_that_shows_it_makes_a_failure_a_regression() -> None:
    of = part(claim(), minimum=CONTROL, before=None, controls=(CONTROL, OLDER))
    verdict = judge_part(of, FindingTable([finding(CONTROL, A), finding(OLDER, P)]))
    assert verdict.outcome is Outcome.REFUTED
    assert ids(verdict.cells) == (CONTROL, OLDER)
    assert "A regression: ddtrace 1.10.0, an earlier release, shows it there: " in evidence_text(
        verdict.facts
    )
    later = judge_part(part(claim()), table(A, None, P))
    assert "regression" not in evidence_text(later.facts)
    broken = judge_part(of, FindingTable([finding(CONTROL, Reason.CRASHED), finding(OLDER, P)]))
    assert broken.outcome is Outcome.UNVERIFIED
    assert "ddtrace 1.20.0 is not usable there" in evidence_text(broken.facts)


def test_a_candidate_is_compared_with_others_only_where_it_does_not_show() -> None:
    of = part(claim(), minimum=CONTROL, before=None, controls=(CONTROL, OLDER))
    assert ids(of.required) == (CONTROL, CONTROL)
    shown = FindingTable([finding(CONTROL, P)])
    assert next_control(of, shown, set()) is None
    assert ids(judge_part(of, shown).cells) == (CONTROL,)
    assert next_control(of, FindingTable([finding(CONTROL, A)]), set()) == Cell.parse(OLDER)


def test_a_floor_that_breaks_later_is_a_remark_on_a_confirmed_part() -> None:
    verdict = judge_part(part(claim()), table(P, A, A))
    assert verdict.outcome is Outcome.CONFIRMED
    assert any(CONTROL in remark_text(remark) for remark in verdict.remarks)
    assert not judge_part(part(claim()), table(P, A, P)).remarks


def test_a_minimum_that_does_not_start_is_not_called_a_missing_capability() -> None:
    verdict = judge_part(part(claim()), table(Reason.BROKEN_START, A, P))
    assert verdict.outcome is Outcome.UNVERIFIED
    assert "1.20.0 works in the same environment" in evidence_text(verdict.facts)


@pytest.mark.parametrize(
    ("minimum", "control", "outcome", "reason"),
    [
        (A, P, Outcome.CONFIRMED, None),
        (A, A, Outcome.UNVERIFIED, Reason.CONTROL_FAILED),
        (P, A, Outcome.REFUTED, None),
        (Reason.CRASHED, P, Outcome.UNVERIFIED, Reason.CRASHED),
    ],
)
def test_a_part_that_holds_without_is_turned_around(
    minimum: Observed | Reason, control: Observed, outcome: Outcome, reason: Reason | None
) -> None:
    verdict = judge_part(part(claim(), expects_absent=True), table(minimum, None, control))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert ("which the page denies" in evidence_text(verdict.facts)) is (outcome is Outcome.REFUTED)


def test_what_the_control_lacks_too_is_no_absence_whatever_other_cells_show() -> None:
    turned = part(claim(), expects_absent=True)
    assert judge_part(turned, table(A, P, A)).reason is Reason.CONTROL_FAILED


def test_absence_is_believed_when_the_probe_saw_it_in_any_other_cell() -> None:
    turned = part(claim(), expects_absent=True, controls=())
    assert judge_part(turned, table(A)).outcome is Outcome.UNVERIFIED
    assert judge_part(turned, table(A, P)).outcome is Outcome.CONFIRMED


@pytest.mark.parametrize(
    ("unasked", "asked", "outcome", "reason"),
    [
        (A, P, Outcome.CONFIRMED, None),
        (A, A, Outcome.UNVERIFIED, Reason.CONTROL_FAILED),
        (A, Reason.BROKEN_START, Outcome.UNVERIFIED, Reason.CONTROL_FAILED),
        (P, P, Outcome.REFUTED, None),
    ],
)
def test_what_is_not_there_unasked_must_be_there_when_it_is_asked_for_in_the_same_cell(
    unasked: Observed, asked: Observed | Reason, outcome: Outcome, reason: Reason | None
) -> None:
    turned = part(claim(), expects_absent=True, controls=(MINIMUM,), control_channel="explicit")
    explicit = dataclasses.replace(finding(MINIMUM, asked), channel="explicit")
    verdict = judge_part(turned, FindingTable([finding(MINIMUM, unasked), explicit]))
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert ("without being asked for" in evidence_text(verdict.facts)) is (
        outcome is Outcome.REFUTED
    )


def verdict_of(
    *shown: Observed | Reason | None,
    left_out: Reason | None = None,
    kind: ClaimKind = ClaimKind.FRAMEWORK,
) -> Verdict:
    promised = claim(kind=kind)
    items = [Omission(promised.id, "CPython 3.14", left_out)] if left_out else []
    (verdict,) = judge(plan([promised], left_out=items), table(*shown))
    return verdict


@pytest.mark.parametrize(
    ("left_out", "kind", "outcome"),
    [
        (Reason.FRAMEWORK_PYTHON, ClaimKind.FRAMEWORK, Outcome.CONFIRMED),
        (Reason.NO_WHEEL, ClaimKind.FRAMEWORK, Outcome.CONFIRMED),
        (Reason.NO_WHEEL, ClaimKind.RUNTIME, Outcome.UNVERIFIED),
        (Reason.PLATFORM_NOT_HERE, ClaimKind.FRAMEWORK, Outcome.UNVERIFIED),
        (Reason.BETWEEN_BOUNDARIES, ClaimKind.FRAMEWORK, Outcome.CONFIRMED),
        (Reason.NOT_IN_PROFILE, ClaimKind.FRAMEWORK, Outcome.UNVERIFIED),
        (Reason.NOT_SELECTED, ClaimKind.FRAMEWORK, Outcome.UNVERIFIED),
        (Reason.NO_PROBE, ClaimKind.FRAMEWORK, Outcome.UNVERIFIED),
    ],
)
def test_what_was_left_out_blocks_only_where_it_could_have_been_tested(
    left_out: Reason, kind: ClaimKind, outcome: Outcome
) -> None:
    verdict = verdict_of(P, A, P, left_out=left_out, kind=kind)
    assert verdict.outcome is outcome
    said = [verdict.reason.value] if verdict.reason else list(map(remark_text, verdict.remarks))
    assert any(left_out.value in text for text in said)


def test_a_profile_that_picks_a_few_cells_confirms_nothing_that_it_left_out() -> None:
    promised = claim()
    items = [Omission(promised.id, "CPython 3.8", Reason.NOT_IN_PROFILE)]
    few = plan([promised], left_out=items)
    (verdict,) = judge(few, table(P, A, P))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.NOT_IN_PROFILE)
    (refuted,) = judge(few, table(A, A, P))
    assert refuted.outcome is Outcome.REFUTED


@pytest.mark.parametrize("unasked", [Reason.NOT_SELECTED, Reason.NOT_IN_PROFILE])
def test_what_nobody_asked_for_does_not_hide_why_the_rest_is_open(unasked: Reason) -> None:
    promised = claim()
    items = [Omission(promised.id, f"CPython 3.{minor}", unasked) for minor in range(6, 9)]
    (of_part,) = judge(plan([promised], left_out=items), table(Reason.CRASHED, A, P))
    assert (of_part.outcome, of_part.reason) == (Outcome.UNVERIFIED, Reason.CRASHED)
    items.append(Omission(promised.id, "db-api with mysql", Reason.NO_BACK_END))
    (of_gap,) = judge(plan([promised], left_out=items), table(P, A, P))
    assert (of_gap.outcome, of_gap.reason) == (Outcome.UNVERIFIED, Reason.NO_BACK_END)


def test_what_holds_is_said_beside_what_was_not_tested() -> None:
    promised = claim()
    items = [
        Omission(promised.id, f"db-api with {name}", Reason.NO_BACK_END, "it has sqlite")
        for name in ("mysql", "postgres", "mariadb", "oracle")
    ]
    (verdict,) = judge(plan([promised], left_out=items), table(P, A, P))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.NO_BACK_END)
    assert evidence_text(verdict.facts) == (
        "1 of 1 parts hold, and not tested: db-api with mysql, db-api with postgres,"
        " db-api with mariadb and 1 more (it has sqlite)"
    )


def test_what_was_left_out_does_not_hide_a_refutation() -> None:
    verdict = verdict_of(A, A, P, left_out=Reason.PLATFORM_NOT_HERE)
    assert verdict.outcome is Outcome.REFUTED
    assert any("platform-not-here" in remark_text(remark) for remark in verdict.remarks)


@given(st.sampled_from(list(Reason)))
def test_a_claim_without_parts_is_never_green(reason: Reason) -> None:
    promised = claim()
    bare = dataclasses.replace(
        plan([promised], left_out=[Omission(promised.id, "all of it", reason)]), parts=()
    )
    (verdict,) = judge(bare, FindingTable())
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, reason)


def test_every_claim_gets_a_verdict_in_the_order_of_the_plan() -> None:
    claims = [claim(number) for number in range(1, 5)]
    few = dataclasses.replace(plan(claims), parts=(part(claims[2]),))
    assert [item.claim for item in judge(few, table(P, A, P))] == [item.id for item in claims]


def test_a_claim_is_refuted_by_one_part_which_is_named() -> None:
    promised = claim()
    good = part(promised, minimum=CONTROL, before=None, controls=())
    (verdict,) = judge(plan([promised], [good, part(promised)]), table(A, A, P))
    assert verdict.outcome is Outcome.REFUTED
    assert MINIMUM in evidence_text(verdict.facts)
    assert "1 of 2" in evidence_text(verdict.facts)


def test_a_claim_is_confirmed_only_if_every_part_is() -> None:
    promised = claim()
    open_part = part(promised, minimum=OLDER)
    (verdict,) = judge(plan([promised], [part(promised), open_part]), table(P, A, P))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.NOT_RUN)


@pytest.mark.parametrize(
    ("befores", "tightness"),
    [
        ((A, A), Tightness.EXACT),
        ((P, P), Tightness.EARLIER),
        ((A, P), Tightness.MIXED),
        ((A, Reason.CRASHED), None),
    ],
)
def test_tightness_of_a_claim(
    befores: tuple[Observed | Reason, Observed | Reason], tightness: Tightness | None
) -> None:
    promised = claim()
    parts = [part(promised), part(promised, before=OLDER)]
    (verdict,) = judge(plan([promised], parts), table(P, befores[0], P, befores[1]))
    assert (verdict.outcome, verdict.tightness) == (Outcome.CONFIRMED, tightness)


@pytest.mark.parametrize(
    ("shown", "ended", "wanted"),
    [
        ((), (), None),
        ((P, A), (), None),
        ((A, A), (), CONTROL),
        ((A, A, P), (), None),
        ((A, A, A), (), OLDER),
        ((A, A, A, A), (), None),
        ((A, A, None), (CONTROL,), OLDER),
        ((A, A, Reason.BROKEN_START), (), OLDER),
        ((Reason.CRASHED, A, Reason.BROKEN_START), (), None),
        ((Reason.BUILD_FAILED, A, A), (), None),
    ],
)
def test_controls_are_asked_for_one_by_one_and_only_if_needed(
    shown: tuple[Observed | Reason | None, ...], ended: tuple[str, ...], wanted: str | None
) -> None:
    over = {(Cell.parse(cell), "threat-detection") for cell in ended}
    found = next_control(part(claim()), table(*shown), over)
    assert (found and found.id) == wanted
