"""Expressions of workflows, as GitHub reads them, and what those of ours come to."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.workflow_expressions import ExpressionError, filled, holds, value_of
from helpers.workflow_files import workflows

CONTEXTS: dict[str, Any] = {
    "github": {"ref_name": "main", "event": {}},
    "inputs": {"empty": "", "word": "Yes"},
    "matrix": {},
    "needs": {"plan": {"result": "success", "outputs": {"jobs": '{"include":[{"shard":"a"}]}'}}},
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("github.ref_name", "main"),
        ("github.event.nothing.at.all", None),
        ("inputs.empty || 'other'", "other"),
        ("inputs.word == 'yes' && 'same' || 'another'", "same"),
        ("inputs.word != 'yes'", False),
        ("matrix.pythons != ''", False),
        ("!inputs.empty", True),
        ("!(inputs.word == 'yes')", False),
        ("'it''s'", "it's"),
        ("fromJSON(needs.plan.outputs.jobs)", {"include": [{"shard": "a"}]}),
        ("false || true && 3", 3),
    ],
)
def test_an_expression_has_the_value_it_has_on_github(expression: str, value: object) -> None:
    assert value_of(expression, CONTEXTS) == value


@pytest.mark.parametrize(
    "expression",
    ["nobody.knows", "hashFiles('x')", "inputs.word ==", "(true", "true true", "a ? b"],
)
def test_what_is_not_known_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError):
        value_of(expression, CONTEXTS)


@pytest.mark.parametrize(
    ("condition", "after_success", "after_failure"),
    [
        ("", True, False),
        ("inputs.word == 'yes'", True, False),
        ("inputs.word == 'no'", False, False),
        ("always()", True, True),
        ("always() && needs.plan.result == 'success'", True, True),
        ("${{ failure() }}", False, True),
    ],
)
def test_a_condition_asks_for_success_unless_it_says_otherwise(
    condition: str, after_success: bool, after_failure: bool
) -> None:
    assert holds(condition, {**CONTEXTS, "status": "success"}) is after_success
    assert holds(condition, {**CONTEXTS, "status": "failure"}) is after_failure


def test_a_text_is_filled_hole_by_hole() -> None:
    said = {"with": ["a ${{ inputs.word }} b ${{ matrix.no }}.", "${{ true }}", 3]}
    assert filled(said, CONTEXTS) == {"with": ["a Yes b .", True, 3]}


@pytest.mark.parametrize(
    ("event", "inputs", "profile"),
    [
        ({"schedule": "17 2 * * 1-6"}, {}, "documented"),
        ({"schedule": "17 2 * * 0"}, {}, "exhaustive"),
        ({}, {"profile": "smoke"}, "smoke"),
    ],
)
def test_each_schedule_has_its_profile(
    event: dict[str, str], inputs: dict[str, str], profile: str
) -> None:
    matrix = next(each for each in workflows() if each.name == "matrix.yml")
    step = next(each for each in matrix.jobs["plan"]["steps"] if each.get("id") == "plan")
    env = filled(step["env"], {"github": {"event": event}, "inputs": inputs})
    assert env == {"PROFILE": profile, "ENGINE": "auto"}
