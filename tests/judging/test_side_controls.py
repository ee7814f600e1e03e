"""The same release on another target as the positive control, where the wheels name the cause."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.run_fakes import PROBE, cell, claim, finding, ids, part, plan, planned

from matrix.judging.claims import judge
from matrix.judging.fallbacks import next_control
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.sentences import evidence_text
from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind
from matrix.model.plan import LackingWheel, Part
from matrix.model.reason import Reason
from matrix.model.verdict import Observed, Outcome, Verdict
from matrix.runs.progress import Progress

P, A = Observed.PRESENT, Observed.ABSENT
PROMISED = claim()
WHEEL = LackingWheel(
    "ddtrace-1.9.0-cp39-cp39-manylinux2014_i686.whl", "ab" * 32, "libddwaf", "i686"
)


def on(target: str, version: str) -> Cell:
    return dataclasses.replace(cell(version), target=target)


def of_i686(**changes: object) -> Part:
    fields: dict[str, object] = {
        "minimum": HERE,
        "before": None,
        "controls": tuple(on("linux_i686", each) for each in ("1.20.0", "1.12.0", "1.10.0")),
        "beside": (BESIDE,),
        "lacking": (WHEEL,),
    }
    return part(PROMISED, **{**fields, **changes})


HERE, BESIDE = on("linux_i686", "1.9.0"), on("linux_x86_64", "1.9.0")
FIRST, SECOND = on("linux_i686", "1.20.0"), on("linux_i686", "1.12.0")


def table(shown: dict[Cell, Observed | Reason]) -> FindingTable:
    return FindingTable(finding(where, shows) for where, shows in shown.items())


def kinds(facts: tuple[Fact, ...]) -> list[FactKind]:
    return [item.kind for item in facts]


def test_the_release_that_shows_it_elsewhere_refutes_what_the_wheel_cannot_do_here() -> None:
    verdict = judge_part(of_i686(), table({HERE: A, FIRST: A, BESIDE: P}))
    assert verdict.outcome is Outcome.REFUTED
    assert ids(verdict.cells) == (HERE.id, BESIDE.id)
    missing = next(item for item in verdict.facts if item.kind is FactKind.LIBRARY_MISSING)
    assert (missing.text("wheel"), missing.text("sha256")) == (WHEEL.filename, WHEEL.sha256)
    assert missing.cell == HERE
    text = evidence_text(verdict.facts)
    assert f"The wheel {WHEEL.filename} (sha256 {'ab' * 32}) has no libddwaf for i686." in text
    assert "The same release on linux_x86_64 has it: " in text


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, {HERE: A, FIRST: A, BESIDE: A}),
        ({}, {HERE: A, FIRST: A, BESIDE: Reason.CRASHED}),
        ({}, {HERE: A, FIRST: A}),
        ({"lacking": ()}, {HERE: A, FIRST: A, BESIDE: P}),
        ({"beside": ()}, {HERE: A, FIRST: A, BESIDE: P}),
    ],
)
def test_nothing_is_refuted_without_the_cell_beside_or_without_the_cause(
    changes: dict[str, object], shown: dict[Cell, Observed | Reason]
) -> None:
    verdict = judge_part(of_i686(**changes), table(shown))
    assert (verdict.outcome, verdict.reason) == (Outcome.UNVERIFIED, Reason.CONTROL_FAILED)


@pytest.mark.parametrize("shown", [P, Reason.BROKEN_START])
def test_a_wheel_never_overrules_what_was_observed(shown: Observed | Reason) -> None:
    verdict = judge_part(of_i686(), table({HERE: shown, BESIDE: P}))
    assert verdict.outcome is not Outcome.REFUTED
    assert FactKind.LIBRARY_MISSING not in kinds(verdict.facts)


def test_a_control_on_the_same_target_comes_first() -> None:
    verdict = judge_part(of_i686(), table({HERE: A, FIRST: P, BESIDE: P}))
    assert verdict.outcome is Outcome.REFUTED
    assert FactKind.CONTROL_SHOWS in kinds(verdict.facts)
    assert FactKind.SHOWS_BESIDE not in kinds(verdict.facts)


def test_an_absence_that_is_promised_is_never_refuted_by_a_wheel() -> None:
    denied = of_i686(expects_absent=True)
    assert judge_part(denied, table({HERE: A, BESIDE: P})).outcome is not Outcome.REFUTED


def test_no_further_control_is_run_where_the_cell_beside_shows_it() -> None:
    shown: dict[Cell, Observed | Reason] = {HERE: A, FIRST: A}
    assert next_control(of_i686(), table({**shown, BESIDE: P}), frozenset()) is None
    assert next_control(of_i686(), table(shown), frozenset()) == BESIDE  # waited for
    assert next_control(of_i686(), table({**shown, BESIDE: A}), frozenset()) == SECOND
    unknown = of_i686(beside=(), lacking=())
    assert next_control(unknown, table({**shown, BESIDE: P}), frozenset()) == SECOND


@pytest.mark.parametrize("order", [(HERE, FIRST, BESIDE), (BESIDE, FIRST, HERE)])
@pytest.mark.parametrize("beside", [P, A])
def test_a_run_asks_for_controls_only_where_the_cell_beside_does_not_show_it(
    order: tuple[Cell, ...], beside: Observed
) -> None:
    shown = {HERE: A, FIRST: A, SECOND: A, BESIDE: beside}
    made = of_i686()
    elsewhere = part(PROMISED, minimum=BESIDE, before=None, controls=())
    promised = plan(
        [PROMISED],
        [made, elsewhere],
        cells=[each.id for each in order],
        fallbacks=[each.id for each in made.controls[1:]],
    )
    progress = Progress(promised)
    further: list[str] = []
    verdicts: list[Verdict] = []

    def end(where: Cell) -> None:
        progress.findings.add(finding(where, shown.get(where, A)))
        claims = progress.end(planned(where.id))
        wanted = [each.cell for of in claims for each in progress.controls_for(of)]
        further.extend(each.id for each in wanted)
        for each in wanted:
            end(each)
        verdicts.extend(progress.reach(claims))

    for where in order:
        end(where)
    assert further == ([] if beside is P else [each.id for each in made.controls[1:]])
    (verdict,) = verdicts
    assert verdict.outcome is (Outcome.REFUTED if beside is P else Outcome.UNVERIFIED)
    assert judge(promised, progress.findings) == (verdict,)


def test_a_cell_beside_that_nobody_runs_is_not_waited_for() -> None:
    made = of_i686()
    alone = plan(
        [PROMISED], [made], cells=[HERE.id, FIRST.id], fallbacks=[each.id for each in made.controls]
    )
    progress = Progress(alone)
    for where in (HERE, FIRST):
        progress.findings.add(finding(where, A))
        claims = progress.end(planned(where.id, (PROBE,)))
    further = [each.cell for of in claims for each in progress.controls_for(of)]
    assert further == [SECOND]
