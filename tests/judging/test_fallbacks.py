"""A library's minimum that cannot be used: which other cells are tried, and what is said."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import PROBE, claim, finding, plan
from hypothesis import given
from hypothesis import strategies as st

from matrix.judging.claims import judge
from matrix.judging.fallbacks import next_control
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text, remark_text
from matrix.model.cell import Cell
from matrix.model.claim import ClaimKind
from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome, Tightness, Verdict

P, A, FAILS, STARTS_NOT, IMPORTS_NOT = (
    Observed.PRESENT,
    Observed.ABSENT,
    Reason.BUILD_FAILED,
    Reason.BROKEN_START,
    Reason.DOES_NOT_IMPORT,
)
PROMISED = claim(kind=ClaimKind.INTEGRATION)


def cell(version: str, python: str = "2.7") -> Cell:
    return Cell(python, "linux_x86_64", "django", version, "1.20.19")


LOWEST = cell("1.0")
ELSEWHERE = (cell("1.0", "3.7"), cell("1.0", "3.8"))
RUNGS = tuple(cell(f"1.{minor}") for minor in range(1, 16))


def low(**changes: object) -> Part:
    made = Part(
        PROMISED.id,
        PROBE,
        "static",
        LOWEST,
        None,
        (LOWEST,),
        pick="lowest",
        elsewhere=ELSEWHERE,
        later=RUNGS,
    )
    return dataclasses.replace(made, **changes)  # type: ignore[arg-type]


def run(asked: Part, world: dict[Cell, Observed | Reason]) -> tuple[list[Cell], FindingTable]:
    """Return the cells that are asked for one after the other, and what is known then."""
    known = FindingTable([finding(LOWEST, world.get(LOWEST, FAILS))])
    steps: list[Cell] = []
    while (wanted := next_control(asked, known, frozenset())) is not None:
        assert wanted not in steps
        steps.append(wanted)
        known.add(finding(wanted, world.get(wanted, FAILS)))
    return steps, known


def told(asked: Part, known: FindingTable) -> Verdict:
    (verdict,) = judge(plan([PROMISED], [asked]), known)
    return verdict


@pytest.mark.parametrize("reason", [FAILS, STARTS_NOT, Reason.NO_WHEEL, Reason.CRASHED])
@pytest.mark.parametrize("first", range(15))
def test_the_lowest_release_that_can_be_used_is_found_in_a_few_tries(
    reason: Reason, first: int
) -> None:
    world: dict[Cell, Observed | Reason] = dict.fromkeys(RUNGS[first:], P)
    steps, known = run(low(), {LOWEST: reason, **world})
    assert len([each for each in steps if each in RUNGS]) <= 5
    verdict = judge_part(low(), known)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, reason)
    assert f"The lowest that installs on CPython 2.7 is django 1.{first + 1}, which shows it." in (
        evidence_text(verdict.facts)
    )
    assert set(steps) <= set(verdict.cells), "every try is kept as evidence"


def test_the_same_release_on_other_cpythons_comes_first_until_one_works() -> None:
    steps, known = run(low(), {ELSEWHERE[0]: A, RUNGS[-1]: P})
    assert steps[0] == ELSEWHERE[0]
    assert ELSEWHERE[1] not in steps
    assert "On CPython 3.7 it does, and does not show it." in evidence_text(
        judge_part(low(), known).facts
    )


@pytest.mark.parametrize("reason", [Reason.TIMED_OUT, Reason.NO_BACK_END, Reason.INDEX_UNAVAILABLE])
def test_what_tells_of_the_moment_steps_nowhere(reason: Reason) -> None:
    assert run(low(), {LOWEST: reason})[0] == []


def test_a_release_that_can_be_used_steps_nowhere() -> None:
    assert run(low(later=RUNGS), {LOWEST: P})[0] == []


@pytest.mark.parametrize("reason", [Reason.TIMED_OUT, Reason.NO_BACK_END, Reason.NO_CONTROL])
def test_a_later_release_of_which_nothing_was_told_is_not_said_to_fail(reason: Reason) -> None:
    world: dict[Cell, Observed | Reason] = {RUNGS[-1]: P, RUNGS[7]: reason}
    steps, known = run(low(), world)
    assert RUNGS[7] in steps
    evidence = evidence_text(judge_part(low(), known).facts)
    assert "django 1.8 does not" not in evidence
    one = low(later=RUNGS[:2])
    _, known = run(one, {RUNGS[0]: reason, RUNGS[1]: P})
    evidence = evidence_text(judge_part(one, known).facts)
    assert "The lowest seen to install on CPython 2.7 is django 1.2" in evidence
    assert "(django 1.0 does not; of what lies between nothing is known)" in evidence
    _, known = run(one, {RUNGS[0]: reason, RUNGS[1]: reason})
    assert "No later release" not in evidence_text(judge_part(one, known).facts)


def test_where_nothing_works_the_search_gives_up() -> None:
    steps, known = run(low(), {})
    assert len(steps) <= len(ELSEWHERE) + 2
    assert "No later release that was tried does" in evidence_text(judge_part(low(), known).facts)


@given(st.lists(st.sampled_from([P, A, FAILS, STARTS_NOT]), min_size=15, max_size=15))
def test_a_world_without_order_ends_too_and_turns_nothing_green(
    answers: list[Observed | Reason],
) -> None:
    world = dict(zip(RUNGS, answers, strict=True))
    steps, known = run(low(), world)
    assert len(steps) <= len(ELSEWHERE) + 6
    verdict = told(low(), known)
    assert verdict.outcome is Outcome.UNVERIFIED
    lowest = [each for each in RUNGS if each in steps and world[each] in {P, A}]
    if lowest:
        assert f"is django {lowest[0].framework_version}," in evidence_text(verdict.facts)


def test_a_row_says_that_no_cpython_can_use_its_minimum() -> None:
    steps, known = run(low(), {RUNGS[-1]: P, RUNGS[-2]: P})
    assert set(ELSEWHERE) <= set(steps)
    verdict = told(low(), known)
    assert verdict.reason is FAILS
    assert evidence_text(verdict.facts).startswith(
        "django 1.0 can be installed on no CPython that was tried (2.7, 3.7, 3.8): It failed."
    )
    assert "is django 1.14, which shows it" in evidence_text(verdict.facts)


def test_a_later_release_with_another_tracer_does_not_hide_that() -> None:
    later = low(minimum=cell("1.9", "3.9"), controls=(), elsewhere=(), later=())
    _, known = run(low(), {RUNGS[-1]: P})
    known.add(finding(later.minimum, P))
    (verdict,) = judge(plan([PROMISED], [low(), later]), known)
    assert "django 1.0 can be installed on no CPython" in evidence_text(verdict.facts)


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ((FAILS, Reason.NO_WHEEL, FAILS), "can be installed on no CPython"),
        ((IMPORTS_NOT, FAILS, IMPORTS_NOT), "can be installed and imported on no CPython"),
        ((STARTS_NOT, FAILS, STARTS_NOT), "was seen to work on no CPython"),
        ((Reason.APP_FAILS, IMPORTS_NOT, FAILS), "was seen to work on no CPython"),
    ],
)
def test_a_row_says_no_more_than_was_observed(reasons: tuple[Reason, ...], words: str) -> None:
    cells = (LOWEST, *ELSEWHERE)
    _, known = run(low(later=()), dict(zip(cells, reasons, strict=True)))
    assert f"django 1.0 {words} that was tried" in evidence_text(told(low(), known).facts)


def test_a_file_that_this_machine_lacks_tells_nothing_of_cpythons() -> None:
    _, known = run(low(), dict.fromkeys((LOWEST, *ELSEWHERE), Reason.SYSTEM_LIBRARY))
    verdict = told(low(), known)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.SYSTEM_LIBRARY)
    assert "no CPython" not in evidence_text(verdict.facts)


@pytest.mark.parametrize("works", [0, 1])
def test_a_combination_that_does_not_import_bare_is_left_out_where_another_runs(works: int) -> None:
    _, known = run(low(), {LOWEST: IMPORTS_NOT, ELSEWHERE[works]: P})
    verdict = told(low(), known)
    assert verdict.outcome is Outcome.CONFIRMED
    assert ELSEWHERE[works] in verdict.cells
    remarks = " ".join(map(remark_text, verdict.remarks))
    assert "django 1.0 is left out on CPython 2.7: " in remarks
    assert "1 left out: does-not-import" in remarks


def test_it_is_not_confirmed_by_a_cpython_that_does_not_show_it() -> None:
    _, known = run(low(), {LOWEST: IMPORTS_NOT, ELSEWHERE[0]: A})
    assert told(low(), known).outcome is Outcome.UNVERIFIED


@pytest.mark.parametrize(
    ("other", "outcome"),
    [(P, Outcome.CONFIRMED), (IMPORTS_NOT, Outcome.UNVERIFIED), (FAILS, Outcome.UNVERIFIED)],
)
def test_another_part_of_the_same_release_decides(
    other: Observed | Reason, outcome: Outcome
) -> None:
    part = low(elsewhere=(), later=())
    beside = low(minimum=ELSEWHERE[0], controls=(), elsewhere=(), later=())
    known = FindingTable([finding(LOWEST, IMPORTS_NOT), finding(ELSEWHERE[0], other)])
    (verdict,) = judge(plan([PROMISED], [part, beside]), known)
    assert verdict.outcome is outcome


def test_a_row_that_imports_nowhere_is_not_left_out() -> None:
    _, known = run(low(), dict.fromkeys((LOWEST, *ELSEWHERE), IMPORTS_NOT))
    verdict = told(low(), known)
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, IMPORTS_NOT)


def test_a_row_does_not_say_so_where_one_can() -> None:
    _, known = run(low(), {ELSEWHERE[1]: P, RUNGS[-1]: P})
    assert "no CPython" not in evidence_text(told(low(), known).facts)


@pytest.mark.parametrize(
    ("shown", "tightness"), [(P, Tightness.LATER), (A, Tightness.EXACT), (FAILS, None)]
)
def test_what_is_above_a_range_tells_how_tight_it_is_and_refutes_nothing(
    shown: Observed | Reason, tightness: Tightness | None
) -> None:
    above = cell("2.0")
    newest = low(pick="newest", above=above, elsewhere=(), later=())
    known = FindingTable([finding(LOWEST, P), finding(above, shown)])
    verdict = told(newest, known)
    assert (verdict.outcome, verdict.tightness) == (Outcome.CONFIRMED, tightness)
    assert "django 2.0, the first above the range" in evidence_text(verdict.facts)
    assert above in verdict.cells


@pytest.mark.parametrize(("here", "outcome"), [(P, Outcome.CONFIRMED), (A, Outcome.UNVERIFIED)])
def test_later_majors_that_are_not_promised_are_a_remark_and_decide_nothing(
    here: Observed, outcome: Outcome
) -> None:
    later, latest = (dataclasses.replace(LOWEST, ddtrace=text) for text in ("3.19.0", "4.16.0"))
    part = low(elsewhere=(), later=(), beyond=(later, latest))
    known = FindingTable([finding(LOWEST, here), finding(later, P), finding(latest, A)])
    verdict = told(part, known)
    assert verdict.outcome is outcome
    assert verdict.tightness is None
    (remark,) = map(remark_text, verdict.remarks)
    shown = "it shows in ddtrace 3.19.0, it does not show in ddtrace 4.16.0"
    assert remark == f"beyond what the page promises: {shown}"
    assert {later, latest}.isdisjoint(verdict.cells)


@pytest.mark.parametrize(
    ("before", "above", "tightness"),
    [
        (A, A, Tightness.EXACT),
        (P, P, Tightness.MIXED),
        (A, P, Tightness.LATER),
        (P, None, Tightness.EARLIER),
        (FAILS, A, None),
    ],
)
def test_the_tightness_of_a_row_is_that_of_its_ends(
    before: Observed | Reason, above: Observed | None, tightness: Tightness | None
) -> None:
    under, over, inside = cell("0.9"), cell("2.0"), cell("1.5")
    lowest = low(before=under)
    newest = low(pick="newest", minimum=inside, above=over if above else None, later=())
    between = low(pick="between", minimum=cell("1.3"), later=())
    shown = {LOWEST: P, under: before, inside: P, over: above, between.minimum: P}
    known = FindingTable(finding(name, each) for name, each in shown.items() if each)
    (verdict,) = judge(plan([PROMISED], [lowest, newest, between]), known)
    assert (verdict.outcome, verdict.tightness) == (Outcome.CONFIRMED, tightness)


def test_what_was_chosen_for_a_document_is_said_whatever_the_answer_is() -> None:
    said = "the index has no django 0.5: the lowest in the range is 1.0"
    for shown in (P, A, FAILS):
        verdict = told(low(choice=said), FindingTable([finding(LOWEST, shown)]))
        assert said in evidence_text(verdict.facts)
        assert said in [remark_text(each) for each in verdict.remarks]
