"""A run that was shared out says what one on one machine says, and never more than it knows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.run_fakes import cell, claim, part
from helpers.shard_run_fixture import (
    Answers,
    cells,
    gathered,
    judged,
    planned_for,
    results,
    run_all,
    run_whole,
    shared_out,
    some_plan,
    verdicts,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix.model.cell import Cell
from matrix.model.plan import Plan
from matrix.model.reason import Reason

__all__ = ["results"]

PYTHONS = ("3.8", "3.9", "3.10")
EVERY = [
    cell(version, python).id
    for python in PYTHONS
    for version in ("1.9.0", "1.8.0", "1.20.0", "1.10.0", "1.7.0")
]
SAID = st.sampled_from(
    [
        "blocked",
        "welcome",
        "welcome",
        Reason.BUILD_FAILED,
        Reason.NO_INTERPRETER,
        Reason.BROKEN_START,
        Reason.TIMED_OUT,
        Reason.OUT_OF_MEMORY,
    ]
)


def told(python: str, **said: str | Reason) -> dict[str, str | Reason]:
    """Return answers by what a cell of `some_plan` is to its claim."""
    names = {"minimum": "1.9.0", "before": "1.8.0", "control": "1.20.0", "older": "1.10.0"}
    return {cell(names[name], python).id: answer for name, answer in said.items()}


MIXED: Answers = {
    **told("3.8", before="welcome"),
    **told("3.9", minimum="welcome", before="welcome", control="welcome"),
    **told("3.10", minimum=Reason.NO_INTERPRETER, before=Reason.BUILD_FAILED),
}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_in_shards_it_says_what_it_says_whole(tmp_path: Path, results: Path, count: int) -> None:
    of = some_plan()
    whole = run_whole(of, MIXED, tmp_path / "whole")
    manifest = shared_out(of, count)
    run_all(manifest, MIXED)
    found = gathered(manifest, results)
    assert not found.problems
    result = judged(found)
    assert verdicts(result) == verdicts(whole)
    assert cells(result) == cells(whole)
    further = {each.cell for each in result.cells if each.fallback}
    assert further == {cell("1.10.0", "3.9").id}, "the others needed no further control"
    assert not result.interrupted


CELLS = st.sampled_from(EVERY)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Return a plan of any shape: parts with and without what is beside the minimum, in reserve or
    elsewhere, which share cells, or turn the promise around.
    """
    claims = [claim(number) for number in range(1, draw(st.integers(1, 4)) + 1)]
    parts = []
    for one in draw(st.lists(st.sampled_from(claims), min_size=1, max_size=6)):
        python = draw(st.sampled_from(PYTHONS))
        mine = draw(st.permutations([each for each in EVERY if python_of(each) == python]))
        kind = draw(st.sampled_from(["plain", "plain", "turned", "row"]))
        count = draw(st.integers(1, 3))
        made = part(
            one,
            minimum=mine[0],
            before=draw(st.sampled_from([None, mine[1]])),
            controls=() if kind == "turned" else tuple(mine[2 : 2 + count]),
            holds_without=kind == "turned",
        )
        if kind == "row":
            others = draw(st.lists(CELLS, unique=True, max_size=2))
            rungs = tuple(mine[2 : 2 + count])
            made = dataclasses.replace(
                made, pick="lowest", elsewhere=tuple(others), rungs=rungs, controls=tuple(mine[4:])
            )
        parts.append(made)
    return planned_for(claims, parts)


@pytest.mark.usefixtures("results")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(of=plans(), said=st.dictionaries(CELLS, SAID), count=st.integers(1, 3))
def test_whatever_is_asked_and_whatever_cells_say(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    of: Plan,
    said: Answers,
    count: int,
) -> None:
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(folder / "results"))
    whole = run_whole(of, said, folder / "whole")
    manifest = shared_out(of, count)
    run_all(manifest, said)
    found = gathered(manifest, folder / "results")
    assert not found.problems
    result = judged(found)
    assert verdicts(result) == verdicts(whole)
    assert cells(result) == cells(whole)


def python_of(name: str) -> str:
    return Cell.parse(name).python
