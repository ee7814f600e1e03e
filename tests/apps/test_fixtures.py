"""Tests of the fixtures of cells: rules and their actions, templates, and the identity script."""

from __future__ import annotations

import json
import os
import platform
import re
import runpy
from typing import Any

import pytest

from matrix.system.paths import fixtures_dir

CELL = fixtures_dir() / "cell"
BUILT_IN_ACTIONS = {"block"}


def rules() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((CELL / "rules.json").read_text("utf-8"))
    return content


def test_every_action_of_a_rule_exists_and_every_action_is_used() -> None:
    used = {action for rule in rules()["rules"] for action in rule.get("on_match", [])}
    custom = {action["id"] for action in rules()["actions"]}
    assert used - BUILT_IN_ACTIONS == custom


def test_no_user_agent_matches_two_rules() -> None:
    patterns = {
        rule["id"]: rule["conditions"][0]["parameters"]["regex"] for rule in rules()["rules"]
    }
    assert len(patterns) == len(rules()["rules"])
    for rule, pattern in patterns.items():
        for agent in (rule, f"{rule}/1"):
            matching = [other for other, regex in patterns.items() if re.search(regex, agent)]
            assert matching == [rule], f"only {pattern} must match {agent}"


def test_custom_actions_have_statuses_that_differ_from_the_tracer_s() -> None:
    statuses = [action["parameters"]["status_code"] for action in rules()["actions"]]
    assert len(set(statuses)) == len(statuses)
    assert 403 not in statuses


def test_the_templates_differ_from_each_other_and_from_the_tracer_s() -> None:
    detail = json.loads((CELL / "blocked.json").read_text("utf-8"))["errors"][0]["detail"]
    page = (CELL / "blocked.html").read_text("utf-8")
    assert detail == "bookshop-blocked-template-json"
    assert "bookshop-blocked-template-html" in page
    assert detail not in page


@pytest.mark.skipif(not platform.libc_ver()[0], reason="needs glibc")
def test_the_libc_is_found_on_a_cpython_without_a_name_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    libc = runpy.run_path(str(fixtures_dir() / "cell" / "identity.py"))["libc"]
    version = libc()
    assert version.startswith("glibc 2.")
    monkeypatch.setattr(os, "confstr_names", {})
    assert libc() == version
