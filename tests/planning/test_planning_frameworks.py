"""Promises about web frameworks: by a capability's table, or by a list that names them."""

from __future__ import annotations

import pytest
from helpers.planning_fixture import claim, left_out_of, page, parts_of, planned, project

from matrix.model.claim import Claim, ClaimKind
from matrix.model.reason import Reason
from matrix.planning.coverage import CoverageRule, load_coverage
from matrix.planning.existence import framework_obstacle
from matrix.pypi.releases import Releases

IN_LAMBDA = "deployment/threat-detection/aws-lambda"


def promised(subject: str, capability: str = "") -> Claim:
    if capability:
        return claim(ClaimKind.FRAMEWORK, subject, capability=capability)
    return claim(ClaimKind.FRAMEWORK, subject)


def rule_of(subject: str, capability: str = "") -> CoverageRule:
    rule = load_coverage().rule(promised(subject, capability))
    assert isinstance(rule, CoverageRule)
    return rule


@pytest.mark.parametrize("framework", ["starlette", "aiohttp", "flask"])
def test_a_framework_has_the_experiment_of_its_capability(framework: str) -> None:
    rule = rule_of(framework, "threat-detection")
    assert (rule.probe, rule.library) == ("threat-detection", "")


@pytest.mark.parametrize("framework", ["pyramid", "cherrypy", "django"])
def test_a_framework_of_a_list_is_traced(framework: str) -> None:
    rule = rule_of(framework)
    assert (rule.probe, rule.channels) == ("web-tracing", ("request", "error"))


@pytest.mark.parametrize(
    ("subject", "probe", "channel"),
    [
        ("gunicorn", "integration-gunicorn", "explicit"),
        ("uvicorn", "integration-uvicorn", "explicit"),
        ("molten", "integration-molten", "automatic"),
    ],
)
def test_what_has_no_app_is_traced_as_documented_where_a_row_is(
    subject: str, probe: str, channel: str
) -> None:
    rule = rule_of(subject)
    assert (rule.probe, rule.channels, rule.denied) == (probe, (channel,), ())


@pytest.mark.parametrize(("subject", "capability"), [("quart", ""), ("molten", "iast")])
def test_nothing_tells_of_other_frameworks(subject: str, capability: str) -> None:
    assert load_coverage().rule(promised(subject, capability)) is Reason.NO_PROBE


def test_a_list_promises_a_framework_for_every_branch_of_the_page() -> None:
    listed = claim(ClaimKind.FRAMEWORK, "django")
    parts = parts_of(planned([*page(), listed]), "framework/django")
    assert {part.minimum.ddtrace for part in parts} == {"0.61.5", "1.20.19"}
    assert {part.channel for part in parts} == {"request", "error"}


def test_a_place_starts_only_the_apps_that_it_is_for() -> None:
    deployed = claim(ClaimKind.DEPLOYMENT, "threat-detection", deployment="aws-lambda")
    plan = planned(
        [*page(), promised("starlette", "threat-detection"), deployed], places=("lambda-emulated",)
    )
    parts = parts_of(plan, IN_LAMBDA)
    assert {part.minimum.framework for part in parts} == {"django", "flask"}
    omitted = [item for item in left_out_of(plan, IN_LAMBDA) if "starlette" in item.subject]
    assert {(item.reason, item.detail) for item in omitted} == {
        (Reason.NO_PROBE, "lambda-emulated starts no app of starlette (asgi)")
    }


def test_the_row_of_a_framework_tells_on_which_cpythons_it_runs() -> None:
    released = project("falcon", {"1.0.0": ("2016-05-15", ""), "4.1.0": ("2025-10-01", ">=3.8")})
    old, new = Releases(released).all
    for python, runs in (("3.9", (True, True)), ("3.10", (False, True)), ("2.7", (True, False))):
        found = tuple(framework_obstacle("falcon", each, python) is None for each in (old, new))
        assert found == runs, python
