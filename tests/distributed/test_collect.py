"""A run in shards has the verdicts of a run on one machine."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from helpers.run_fakes import cell, claim, part
from helpers.shard_run_fixture import (
    Responses,
    cells,
    gathered,
    in_shards,
    judged,
    planned_for,
    results,
    run_all,
    run_whole,
    some_plan,
    verdicts,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matrix.model.plan import Plan
from matrix.model.reason import Reason

__all__ = ["results"]

PYTHONS = ("3.8", "3.9", "3.10")
EVERY = [
    cell(version, python)
    for python in PYTHONS
    for version in ("1.9.0", "1.8.0", "1.20.0", "1.10.0", "1.7.0")
]
RESPONSES = st.sampled_from(
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


def by_role(python: str, **responses: str | Reason) -> dict[str, str | Reason]:
    """Return responses by the role that a cell of `some_plan` has for its claim."""
    names = {"minimum": "1.9.0", "before": "1.8.0", "control": "1.20.0", "older": "1.10.0"}
    return {cell(names[name], python).id: response for name, response in responses.items()}


MIXED: Responses = {
    **by_role("3.8", before="welcome"),
    **by_role("3.9", minimum="welcome", before="welcome", control="welcome"),
    **by_role("3.10", minimum=Reason.NO_INTERPRETER, before=Reason.BUILD_FAILED),
}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_run_in_shards_has_the_results_of_a_whole_run(
    tmp_path: Path, results: Path, count: int
) -> None:
    plan = some_plan()
    whole = run_whole(plan, MIXED, tmp_path / "whole")
    manifest = in_shards(plan, count)
    run_all(manifest, MIXED)
    collected = gathered(manifest, results)
    assert not collected.problems
    result = judged(collected)
    assert verdicts(result) == verdicts(whole)
    assert cells(result) == cells(whole)
    further = {line.id for line in result.cells if line.fallback}
    assert further == {cell("1.10.0", "3.9").id}, "the others needed no further control"
    assert not result.run.interrupted


CELLS = st.sampled_from(EVERY)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Return a plan of any shape: parts with and without neighbours of the minimum, in reserve or
    elsewhere, that share cells or expect absence.
    """
    claims = [claim(number) for number in range(1, draw(st.integers(1, 4)) + 1)]
    parts = []
    for promised in draw(st.lists(st.sampled_from(claims), min_size=1, max_size=6)):
        python = draw(st.sampled_from(PYTHONS))
        own = draw(st.permutations([item for item in EVERY if item.python == python]))
        kind = draw(st.sampled_from(["plain", "plain", "turned", "row"]))
        count = draw(st.integers(1, 3))
        drawn = part(
            promised,
            minimum=own[0],
            before=draw(st.sampled_from([None, own[1]])),
            controls=() if kind == "turned" else tuple(own[2 : 2 + count]),
            expects_absent=kind == "turned",
        )
        if kind == "row":
            others = draw(st.lists(CELLS, unique=True, max_size=2))
            later = tuple(own[2 : 2 + count])
            drawn = dataclasses.replace(
                drawn, pick="lowest", elsewhere=tuple(others), later=later, controls=tuple(own[4:])
            )
        parts.append(drawn)
    return planned_for(claims, parts)


@pytest.mark.usefixtures("results")
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plan=plans(),
    responses=st.dictionaries(CELLS.map(lambda item: item.id), RESPONSES),
    count=st.integers(1, 3),
)
def test_any_plan_and_any_responses_have_the_same_results_in_shards(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    plan: Plan,
    responses: Responses,
    count: int,
) -> None:
    folder = tmp_path_factory.mktemp("run")
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(folder / "results"))
    whole = run_whole(plan, responses, folder / "whole")
    manifest = in_shards(plan, count)
    run_all(manifest, responses)
    collected = gathered(manifest, folder / "results")
    assert not collected.problems
    result = judged(collected)
    assert verdicts(result) == verdicts(whole)
    assert cells(result) == cells(whole)
