"""Search plans: releases, cells, the framework of the era, documented minimums, errors."""

from __future__ import annotations

import pytest
from helpers.minimum_fixture import both, search_plan, search_plans
from helpers.planning_fixture import claim, page, planned

from matrix.errors import NothingSelectedError, UsageError
from matrix.features.minimum.search_plan import searched_probes
from matrix.model.claim import ClaimKind, Status
from matrix.model.reason import Reason
from matrix.probes.registry import load_probes


def test_the_releases_of_a_search_are_those_with_a_wheel() -> None:
    plan = search_plan(framework="django", python="3.12")
    assert next(iter(plan.cells)) == "2.0.0"
    (missing,) = plan.skipped
    assert missing.reason is Reason.NO_WHEEL
    assert missing.releases[-1] == "1.20.19"
    assert "no wheel for CPython 3.12" in missing.detail
    assert len(missing.releases) + len(plan.cells) == len(plan.releases)


def test_cells_are_those_that_a_plan_would_make() -> None:
    run_plan = planned(page())
    plan = search_plan(framework="django", python="3.11")
    same = [x for x in run_plan.cells if x.cell in {each.cell for each in plan.cells.values()}]
    assert same
    for each in same:
        assert plan.cells[each.cell.ddtrace].as_of == each.as_of


def test_the_framework_is_that_of_the_time_of_the_documented_minimum() -> None:
    assert both().framework == "django 4.1.7"
    assert search_plan(framework="django==3.2", python="3.9").framework == "django 3.2"
    assert "as requested" in search_plan(framework="django==3.2", python="3.9").remarks[0]


def test_a_capability_is_searched_on_every_framework_that_is_promised() -> None:
    assert [each.framework.split()[0] for each in search_plans()] == ["django", "flask"]


def test_all_documented_minimums_are_kept_and_the_lowest_is_the_start() -> None:
    later = claim(ClaimKind.CAPABILITY, "threat-detection", ">=1.10.0", document="other.md")
    plan = search_plan(framework="django", claims=[*page(), later])
    assert [(each.document, each.minimum) for each in plan.promises] == [
        ("page.md", "1.9.0"),
        ("other.md", "1.10.0"),
    ]
    assert plan.documented == "1.9.0"


def test_a_document_that_denies_it_is_kept() -> None:
    plan = search_plan("note:flask-query-string")
    assert [each.document for each in plan.denied] == ["page.md"]
    assert plan.promises == ()
    assert {each.status for each in plan.denied} == {Status.NOT_SUPPORTED}


def test_a_channel_that_no_promise_is_about_has_no_promised_minimum() -> None:
    claims = [*page(), claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0")]
    asked = ("environment", "forced-telemetry")
    (plan,) = search_plans("sca", claims, framework="django", channels=asked)
    assert (plan.channels, plan.unpromised) == (asked, ("forced-telemetry",))
    usual = search_plan("sca", claims, framework="django")
    assert usual.channels == ("environment",)
    probes = load_probes()
    assert searched_probes(probes, [usual]) == probes
    searched = searched_probes(probes, [usual, plan])["sca"].channels
    assert [channel.claimed for channel in searched] == [True, True]
    assert [channel.documented for channel in searched] == [True, False]


def test_the_newest_promised_cpython_is_taken_for_none() -> None:
    assert search_plan(framework="django").python == "3.11"
    (plan,) = search_plans(framework="django", available=frozenset({"3.8", "3.9", "3.14"}))
    assert plan.python == "3.9"
    (plan,) = search_plans(framework="django", available=frozenset({"3.14"}))
    assert plan.python == "3.11"


def test_a_minimum_that_several_claims_of_a_page_have_is_listed_once() -> None:
    notes = [claim(ClaimKind.NOTE, "request-tags", note=str(number)) for number in range(2)]
    plan = search_plan("request-tags", [*page(), *notes], framework="django")
    assert [each.line for each in plan.promises] == [1]


def test_the_releases_of_a_framework_are_searched_under_a_tracer() -> None:
    plan = search_plan("framework:flask", ddtrace="1.9.0", python="3.9")
    assert (plan.project, plan.ddtrace, plan.framework) == ("flask", "1.9.0", "")
    assert plan.documented == "0.10"
    assert {each.cell.ddtrace for each in plan.cells.values()} == {"1.9.0"}
    assert "younger than ddtrace 1.9.0 (2.2.5 to 3.0.0)" in plan.remarks[0]


@pytest.mark.parametrize(
    ("subject", "options", "message"),
    [
        ("threat-detecton", {}, "did you mean 'threat-detection'"),
        ("capabilty:sca", {}, "did you mean 'capability'"),
        ("profiling", {}, "no experiment"),
        ("fastapi", {}, "no experiment"),
        ("framework:flsk", {}, "did you mean 'flask'"),
        ("sca", {"framework": "djago"}, "did you mean 'django'"),
        ("sca", {"framework": "django==3.3"}, "no final release 3.3 of django"),
        ("sca", {"since": "one"}, "invalid version 'one' for --since (expected e.g. 1.10.0)"),
        ("sca", {"since": "2.0", "until": "1.0"}, "later than --until"),
        ("sca", {"channels": ("enviroment",)}, "did you mean 'environment'"),
        ("sca", {"ddtrace": "1.9.0"}, "--ddtrace is for framework:NAME"),
        ("framework:flask", {"ddtrace": "1.9.99"}, "no final release 1.9.99"),
        ("framework:sqlite3", {}, "no sample app for sqlite3"),
        ("framework:flask", {"framework": "django"}, "cannot use --framework here"),
    ],
)
def test_an_unknown_subject_or_option_is_a_usage_error(
    subject: str, options: dict[str, object], message: str
) -> None:
    claims = [*page(), claim(ClaimKind.CAPABILITY, "sca", ">=1.8.0")]
    with pytest.raises(UsageError) as caught:
        search_plans(subject, claims, **options)  # type: ignore[arg-type]
    assert message in caught.value.message


def test_ends_that_leave_no_release_are_nothing_selected() -> None:
    with pytest.raises(NothingSelectedError, match="no release of ddtrace can be tested"):
        search_plan(framework="django", since="1.10.1", until="1.10.2")
