"""The data files of planning name only what exists."""

from __future__ import annotations

import pytest
from helpers.planning_fixture import READ, claim
from packaging.version import Version

from matrix.model.claim import ClaimKind
from matrix.model.index import ReleaseFiles
from matrix.model.reason import Reason
from matrix.planning.coverage import load_coverage
from matrix.planning.existence import framework_obstacle
from matrix.probes.registry import load_probes
from matrix.pypi.releases import Release, python_key, specifier_allows
from matrix.system.files import read_data

KINDS = {kind.value for kind in ClaimKind}


def test_coverage_names_kinds_and_sample_frameworks() -> None:
    coverage = load_coverage()
    assert set(read_data("coverage")) - KINDS == {"samples", "left-out"}
    assert {key.partition(".")[0] for key in coverage.reasons} <= KINDS
    for rule in coverage.rules.values():
        assert set(rule.frameworks) <= set(coverage.samples)
        assert not rule.app or rule.app in coverage.samples
        assert rule.channels
        assert rule.table in {"", "framework", "authentication"}
        for capability in rule.capability:
            assert (ClaimKind.CAPABILITY.value, capability) in coverage.rules


def test_coverage_names_probes_and_channels_that_exist() -> None:
    probes = load_probes()
    for key, rule in load_coverage().rules.items():
        assert rule.probe in probes, key
        channels = {item.name for item in probes[rule.probe].channels if item.documented}
        assert set(rule.channels) <= channels, key
        assert any(map(probes[rule.probe].runs_in, rule.frameworks)), key
        assert not rule.app or probes[rule.probe].runs_in(rule.app), key


@pytest.mark.parametrize(
    ("note", "channels"),
    [
        ("API Gateway v1 (Rest API)", ("rest",)),
        ("API Gateway v2 (HTTP API)", ("http",)),
        ("Application Load Balancer (ALB)", ("load-balancer",)),
        ("Function URL", ("url",)),
        ("SQS queue", None),
    ],
)
def test_a_note_has_the_channels_that_it_names(note: str, channels: tuple[str, ...] | None) -> None:
    named = claim(ClaimKind.NOTE, "trigger-type", deployment="aws-lambda", note=note)
    rule = load_coverage().rule(named)
    assert (None if rule is Reason.NO_PROBE else getattr(rule, "channels", rule)) == channels


def test_each_data_store_of_a_claim_can_show_what_is_asked_of_it() -> None:
    probes, coverage = load_probes(), load_coverage()
    claims = {subject: rule for (_, subject), rule in coverage.rules.items() if rule.store_channel}
    assert {rule.store_channel for rule in claims.values()} == {"error", "query", "timing"}
    for subject, rule in claims.items():
        left_out = dict(rule.stores_left_out)
        assert not left_out.keys() & set(rule.stores)
        for store in (*rule.stores, *left_out):
            way = "explicit" if coverage.integrations[store].explicit else "automatic"
            names = {channel.name for channel in probes[f"integration-{store}"].channels}
            assert f"{way}-{rule.store_channel}" in names, subject


def test_a_data_store_that_declares_its_statement_is_asked_its_timing_and_query() -> None:
    coverage = load_coverage()
    declared = {
        slug
        for slug, integration in coverage.integrations.items()
        if integration.query is not None and integration.slug.rstrip("0123456789") == slug
    } - {"psycopg2-binary", "redis-asyncio", "redis-py"}
    query = coverage.rules[ClaimKind.NOTE.value, "datastore-query"]
    timing = coverage.rules[ClaimKind.NOTE.value, "datastore-timing"]
    assert set(timing.stores) == declared
    assert {*query.stores, *dict(query.stores_left_out)} == declared
    assert all(detail for _, detail in query.stores_left_out)


@pytest.mark.parametrize(
    ("version", "python", "runs"),
    [
        ("1.0.2", "3.9", True),
        ("1.0.2", "3.10", False),
        ("1.0.3", "3.10", True),
        ("1.0.2", "3.11", False),
        ("1.0.3", "3.11", True),
        ("1.0.3", "3.12", False),
        ("0.12.5", "3.10", True),
    ],
)
def test_flask_1_0_runs_on_cpython_3_10_since_it_imports_from_collections_abc(
    version: str, python: str, runs: bool
) -> None:
    files = ReleaseFiles(version, READ, yanked=False, requires_python="", files=())
    release = Release(files, Version(version), READ)
    assert (framework_obstacle("flask", release, python) is None) == runs


@pytest.mark.parametrize("framework", ["django", "flask"])
def test_series_of_a_framework_do_not_overlap_and_go_up(framework: str) -> None:
    series = read_data("frameworks")[framework]["series"]
    samples = ["0.9", "0.10", "0.12.5", "1.0.4", "1.1.4"]
    samples += [f"{major}.{minor}.5" for major in range(2, 7) for minor in range(4)]
    for version in samples:
        assert sum(specifier_allows(each["versions"], version) for each in series) <= 1
    for each in series:
        pythons = [*each["python"], *each.get("later", {})]
        assert pythons == sorted(set(pythons), key=python_key)
