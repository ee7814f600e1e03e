"""Tests of the evaluation of expressions, and of the expressions in the workflows."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.workflow_expressions import ExpressionError, condition_holds, evaluate, expand
from helpers.workflow_files import workflow_named

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
    assert evaluate(expression, CONTEXTS) == value


@pytest.mark.parametrize(
    "expression",
    ["nobody.knows", "hashFiles('x')", "inputs.word ==", "(true", "true true", "a ? b"],
)
def test_an_unknown_name_or_invalid_syntax_is_an_error(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, CONTEXTS)


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
def test_a_condition_requires_success_unless_it_names_a_status(
    condition: str, after_success: bool, after_failure: bool
) -> None:
    assert condition_holds(condition, {**CONTEXTS, "status": "success"}) is after_success
    assert condition_holds(condition, {**CONTEXTS, "status": "failure"}) is after_failure


def test_every_expression_in_a_text_is_expanded() -> None:
    data = {"with": ["a ${{ inputs.word }} b ${{ matrix.no }}.", "${{ true }}", 3]}
    assert expand(data, CONTEXTS) == {"with": ["a Yes b .", True, 3]}


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
    steps = workflow_named("matrix.yml").jobs["plan"]["steps"]
    step = next(step for step in steps if step.get("id") == "plan")
    env = expand(step["env"], {"github": {"event": event}, "inputs": inputs})
    assert env == {"PROFILE": profile, "ENGINE": "auto"}
