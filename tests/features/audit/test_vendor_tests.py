"""Promises of a page against what the tracer's registry says of the vendor's own tests."""

from __future__ import annotations

import dataclasses

import pytest

from matrix.features.audit.findings import AuditFinding, FindingKind
from matrix.features.audit.vendor_tests import VendorTestReport, compare_with_tests
from matrix.model.claim import Claim, ClaimKind, Status
from matrix.model.vendor_tests import VendorTested
from matrix.probes.integrations import load_integrations


def promise(subject: str, specifier: str, line: int = 1, **scope: str) -> Claim:
    claim_id = f"page/integration/{subject}/{line}"
    return Claim(
        claim_id, ClaimKind.INTEGRATION, subject, specifier, specifier, Status.SUPPORTED, "page",
        "en", "0" * 64, "Libraries", line, tuple(scope.items()),
    )  # fmt: skip


def vendor(
    name: str, python: str, *versions: str, integration: str = "", automatic: bool = True
) -> tuple[Claim, VendorTested]:
    integration = integration or name
    claim_id = f"registry/integration/{name}/{integration}/{python}"
    claim = Claim(
        claim_id, ClaimKind.INTEGRATION, name, "", "", Status.SUPPORTED, "registry", "en",
        "1" * 64, integration, 7, (("integration", integration), ("python", f"=={python}.*")),
    )  # fmt: skip
    ends = (versions[0], versions[-1])
    item = VendorTested(
        claim_id, integration, name, python, *ends, versions, automatic, "registry", 7
    )
    return claim, item


def compare(pages: list[Claim], registry: list[tuple[Claim, VendorTested]]) -> VendorTestReport:
    claims = [*pages, *(claim for claim, _ in registry)]
    return compare_with_tests(claims, [item for _, item in registry], load_integrations())


def only(report: VendorTestReport) -> AuditFinding:
    (finding,) = report.findings
    return finding


REDIS = [
    vendor("redis", "3.9", "3.5.3", "4.6.0", "6.4.0"),
    vendor("redis", "3.10", "3.5.3", "7.1.0"),
    vendor("redis", "3.11", "3.5.3", "7.1.0"),
]


def test_the_part_of_a_range_that_nobody_tests() -> None:
    report = compare([promise("redis", ">=2.6")], REDIS)
    finding = only(report)
    assert finding.kind is FindingKind.PROMISE_PARTLY_UNTESTED
    assert finding.says == (
        ">=2.6 is promised; 3.5.3 to 6.4.0 on CPython 3.9; 3.5.3 to 7.1.0 on CPython 3.10 to 3.11"
        " is tested; 2.6 to before 3.5.3 by nobody"
    )
    assert [str(place) for place in finding.places] == ["page:1", "registry:7"]
    assert [str(place) for place in finding.stale] == ["page:1"]
    assert not finding.contradicts
    (row,) = report.rows
    assert (row.subject, row.untested) == ("redis", ("2.6 to before 3.5.3",))


@pytest.mark.parametrize("specifier", [">=3.5.3", ">=4.0", ">=3.5.3,<=7.1.0", "==4.*"])
def test_a_range_that_is_tested_is_no_finding(specifier: str) -> None:
    assert compare([promise("redis", specifier)], REDIS).findings == ()


@pytest.mark.parametrize(
    ("specifier", "words"),
    [
        (">=3.5.3,<=8", "after 7.1.0 to 8 by nobody"),
        ("", "any release is promised"),
        ("", "releases before 3.5.3 by nobody"),
    ],
)
def test_the_ends_of_a_range(specifier: str, words: str) -> None:
    assert words in only(compare([promise("redis", specifier)], REDIS)).says


def test_a_range_outside_of_the_tests_and_a_library_without_any() -> None:
    outside = only(compare([promise("redis", "<3")], REDIS))
    assert outside.kind is FindingKind.PROMISE_UNTESTED
    assert outside.says.endswith("is tested, which is outside")
    alone = compare([promise("redis", ">=3.5.3"), promise("molten", ">=0.7", 2)], REDIS)
    assert only(alone).says == ">=0.7 is promised; it is not in the registry"
    assert only(alone).stale == ()


def test_a_tested_dependency_that_no_page_names() -> None:
    report = compare([promise("redis", ">=3.5.3")], [*REDIS, vendor("valkey", "3.12", "6.0.2")])
    finding = only(report)
    assert finding.kind is FindingKind.TESTED_UNNAMED
    assert finding.says == "6.0.2 on CPython 3.12 is tested, and no page names it"
    assert [str(place) for place in finding.places] == ["registry:7"]


def test_automatic_is_compared_but_not_for_one_role() -> None:
    pages = [promise("redis", ">=3.5.3", automatic="no")]
    finding = only(compare(pages, REDIS))
    assert (finding.kind, finding.contradicts) == (FindingKind.AUTOMATIC_DIFFERS, True)
    assert finding.says == (
        "the page says automatic no, the registry automatic yes on CPython 3.9 to 3.11"
    )
    assert [str(place) for place in finding.places] == ["page:1", "registry:7"]
    of_a_role = [promise("redis", ">=3.5.3", role="client", automatic="no")]
    assert compare(of_a_role, REDIS).findings == ()


def test_names_lead_to_distributions_and_integrations() -> None:
    registry = [
        vendor("grpcio", "3.9", "1.34.1", integration="grpc"),
        vendor("botocore", "3.9", "1.0", integration="aiobotocore", automatic=False),
        vendor("botocore", "3.9", "1.1", integration="botocore"),
        vendor("google-adk", "3.9", "1.0", integration="google_adk"),
    ]
    pages = [
        promise("grpc", ">=1.34.1", 1),
        promise("botocore", ">=1.1", 2, automatic="yes"),
        promise("google-adk", ">=1.0", 3),
    ]
    assert compare(pages, registry).findings == ()


def test_equal_promises_of_several_lines_are_one_finding() -> None:
    pages = [promise("redis", ">=2.6", line) for line in (3, 5)]
    assert [str(place) for place in only(compare(pages, REDIS)).places] == [
        "page:3", "page:5", "registry:7",
    ]  # fmt: skip


def test_the_page_that_is_stale_is_named_and_one_that_agrees_is_not() -> None:
    late = dataclasses.replace(promise("redis", ">=3.5.3"), id="late", document="late")
    finding = only(compare([promise("redis", ">=2.6", 4), late], REDIS))
    assert finding.reason == "likely out of date: page, as the tests cover another range"
    assert [str(place) for place in finding.stale] == ["page:4"]
    outside = only(compare([promise("redis", "<3", 4), late], REDIS))
    assert outside.reason == "likely out of date: page, as other releases are tested"


def test_series_of_a_library_have_names_of_their_own() -> None:
    registry = [
        vendor("psycopg", "3.9", "3.0.18", "3.2.13"),
        vendor("psycopg2-binary", "3.9", "2.9.10", integration="psycopg"),
    ]
    report = compare([promise("psycopg", ">=2.4")], registry)
    assert report.rows[0].untested == ("2.4 to before 2.9.10",)
    assert [finding.kind for finding in report.findings] == [FindingKind.PROMISE_PARTLY_UNTESTED]


def test_releases_of_another_dependency_are_none_of_the_standard_library() -> None:
    registry = [vendor("pysqlite3-binary", "3.9", "0.5.2.post3", integration="sqlite3")]
    report = compare([promise("sqlite3", "")], registry)
    assert report.findings == ()
    assert [str(tested) for tested in report.rows[0].tested] == ["it on CPython 3.9"]


def test_a_row_has_its_promises_entries_and_what_is_automatic() -> None:
    (row,) = compare([promise("redis", "<3", 3)], REDIS).rows
    assert row.claims == ("page/integration/redis/3",)
    assert [str(tested) for tested in row.outside] == [
        "3.5.3 to 6.4.0 on CPython 3.9", "3.5.3 to 7.1.0 on CPython 3.10 to 3.11",
    ]  # fmt: skip
    assert (len(row.places), row.automatic) == (3, True)
