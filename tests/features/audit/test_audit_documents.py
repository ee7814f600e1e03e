"""Findings between documents and within one, with their lines."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from helpers.audit_pages import PAGE, changed, claims_of, line_of
from packaging.version import Version

from matrix.features.audit.documents import compare_documents
from matrix.features.audit.findings import AuditFinding, FindingKind, finding_texts


def audited(folder: Path, **pages: str) -> tuple[AuditFinding, ...]:
    return compare_documents(claims_of(folder, **pages))


def single(findings: tuple[AuditFinding, ...], kind: FindingKind) -> AuditFinding:
    assert [finding.kind for finding in findings] == [kind], findings
    return findings[0]


def lines(finding: AuditFinding) -> set[str]:
    return {str(place) for place in finding.places}


def stale(finding: AuditFinding) -> set[str]:
    return {str(place) for place in finding.stale}


def test_equal_pages_agree(tmp_path: Path) -> None:
    assert audited(tmp_path, one=PAGE, two=PAGE) == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("`>=1.0,<2`", "1.x"),
        ("| `<2` |", "| `<2.0` |"),
        ("3.8-3.10", "3.8, 3.9, 3.10"),
        ("| Threat Detection | 1.9.0 |", "|**Threat Detection**|  v1.9.0+ |"),
        ("| Flask | 0.10 |", "| [Flask][1] | >= 0.10 |"),
        ("Maintenance", "maintenance"),
        ("Software Composition Analysis", "Vulnerability Management for OSS support"),
        ("| Docker | {{< X >}} | {{< X >}} |", "| Docker | yes | :white_check_mark: |"),
    ],
)
def test_spelling_and_layout_are_no_difference(tmp_path: Path, old: str, new: str) -> None:
    assert audited(tmp_path, one=PAGE, two=changed((old, new))) == ()


def test_a_minimum_that_differs_is_cited_on_both_pages(tmp_path: Path) -> None:
    other = changed(("| Threat Protection | 1.10.0", "| Threat Protection | 1.11.0"))
    finding = single(audited(tmp_path, one=PAGE, two=other), FindingKind.MINIMUM_DIFFERS)
    line = line_of(PAGE, "| Threat Protection |")
    assert lines(finding) == {f"one:{line}", f"two:{line}"}
    assert finding.contradicts
    assert stale(finding) == {f"one:{line}"}
    assert "1.10.0" in finding.reason
    assert "1.11.0" in finding.reason


def test_without_evidence_neither_side_is_stale(tmp_path: Path) -> None:
    other = changed(("| Flask | 0.10 |", "| Flask | 0.12 |"))
    finding = single(audited(tmp_path, one=PAGE, two=other), FindingKind.MINIMUM_DIFFERS)
    assert not finding.stale
    assert "cannot tell" in finding.reason


def test_three_different_answers_have_no_stale_side(tmp_path: Path) -> None:
    pages = {
        name: changed(("| Threat Detection | 1.9.0", f"| Threat Detection | {version}"))
        for name, version in (("one", "1.7.0"), ("two", "1.8.0"))
    }
    finding = single(audited(tmp_path, three=PAGE, **pages), FindingKind.MINIMUM_DIFFERS)
    assert not finding.stale
    assert len(finding.places) == 3


def test_the_earlier_support_level_is_stale(tmp_path: Path) -> None:
    other = changed(
        ("| `<1` | Maintenance |\n", ""),
        ("| `>=1.0,<2` | General Availability |", "| `>=1.0,<2` | Maintenance |"),
    )
    findings = audited(tmp_path, one=PAGE, two=other)
    kinds = [finding.kind for finding in findings]
    assert kinds == [FindingKind.SUPPORT_LEVEL_DIFFERS, FindingKind.BRANCH_MISSING]
    assert stale(findings[0]) == {f"one:{line_of(PAGE, '| `>=1.0,<2`')}"}
    assert not findings[1].stale, "both list the same newest branch"


def test_a_newer_branch_makes_the_page_without_it_stale(tmp_path: Path) -> None:
    row = "| `>=1.0,<2` | General Availability |\n"
    other = changed((row, row + "| `>=2.0,<3` | General Availability |\n"))
    claims = claims_of(tmp_path, one=PAGE, two=other)
    dates = {Version("2.0"): dt.date(2023, 10, 3)}
    (finding,) = compare_documents(claims, dates=dates.get)
    assert finding.kind is FindingKind.BRANCH_MISSING
    assert {place.document for place in finding.stale} == {"one"}
    assert "2023-10-03" in finding.reason


def test_a_capability_that_came_after_the_table_ends_makes_it_stale(tmp_path: Path) -> None:
    row = "| Threat Protection | 1.10.0 |\n"
    late = changed((row, row + "| API Security | 1.15.0 |\n"))
    finding = single(audited(tmp_path, one=PAGE, two=late), FindingKind.CAPABILITY_MISSING)
    assert {place.document for place in finding.stale} == {"one"}
    assert not finding.contradicts
    early = changed((row, row + "| API Security | 1.2.0 |\n"))
    finding = single(audited(tmp_path, one=PAGE, two=early), FindingKind.CAPABILITY_MISSING)
    assert not finding.stale
    assert "cannot tell" in finding.reason


def test_the_earlier_stage_is_stale(tmp_path: Path) -> None:
    other = changed(("| Code Security | Preview |", "| Code Security | Private Beta |"))
    finding = single(audited(tmp_path, one=PAGE, two=other), FindingKind.STATUS_DIFFERS)
    assert {place.document for place in finding.stale} == {"two"}


@pytest.mark.parametrize(
    ("old", "new", "kind", "subject"),
    [
        (
            "| Flask | 0.10 | {{< X >}} | {{< X >}} |\n",
            "",
            FindingKind.ROW_MISSING,
            "framework/flask",
        ),
        ("| AWS Lambda | {{< X >}} | |\n", "", FindingKind.ROW_MISSING, "deployment/aws-lambda"),
        (
            "Support for query strings is not available for Flask.\n",
            "",
            FindingKind.NOTE_MISSING,
            "note/flask-query-string",
        ),
        (
            "| Windows | 64bit | CPython | 3.8-3.10 | `<2` |\n",
            "",
            FindingKind.COLUMN_MISSING,
            "runtime/cpython",
        ),
        ("3.8-3.10 | `<2` |\n| Win", "3.8-3.9 | `<2` |\n| Win", FindingKind.ROW_MISSING, "3.10"),
    ],
)
def test_what_one_page_lacks_is_one_finding(
    tmp_path: Path, old: str, new: str, kind: FindingKind, subject: str
) -> None:
    finding = single(audited(tmp_path, one=PAGE, two=changed((old, new))), kind)
    assert subject in finding.subject
    assert {place.document for place in finding.places if not place.claim} == {"two"}


LINUX = "| Linux | x86-64 | CPython | 3.8-3.10 | `<2` |"
NEWER = "| Linux | x86-64 | CPython | 3.8-3.10 | `>=2` |"


def test_a_branch_without_runtimes_is_a_row_that_is_missing(tmp_path: Path) -> None:
    finding = single(
        audited(tmp_path, one=PAGE, two=changed((LINUX, f"{LINUX}\n{NEWER}"))),
        FindingKind.ROW_MISSING,
    )
    assert "ddtrace >=2" in finding.subject
    assert {place.document for place in finding.stale} == {"one"}


def test_runtimes_for_other_releases_of_the_same_branch_differ(tmp_path: Path) -> None:
    finding = single(
        audited(tmp_path, one=PAGE, two=changed((LINUX, LINUX.replace("<2", "<3")))),
        FindingKind.MINIMUM_DIFFERS,
    )
    assert finding.contradicts
    assert lines(finding) == {f"{name}:{line_of(PAGE, '| Linux')}" for name in ("one", "two")}


def test_one_row_for_all_releases_equals_two_rows(tmp_path: Path) -> None:
    together = changed((LINUX, LINUX.replace("`<2`", "any")))
    apart = changed((LINUX, f"{LINUX}\n{NEWER}"))
    assert audited(tmp_path, one=together, two=apart) == ()


def test_a_column_that_one_page_lacks_is_one_finding(tmp_path: Path) -> None:
    other = changed(
        (" Threat Protection supported? |", ""),
        (
            "Detection supported? |\n| --- | --- | --- | --- |",
            "Detection supported? |\n| - | - | - |",
        ),
        ("| Django | 1.8 | {{< X >}} | {{< X >}} |", "| Django | 1.8 | {{< X >}} |"),
        ("| Flask | 0.10 | {{< X >}} | {{< X >}} |", "| Flask | 0.10 | {{< X >}} |"),
    )
    finding = single(audited(tmp_path, one=PAGE, two=other), FindingKind.COLUMN_MISSING)
    assert "threat-protection" in finding.subject
    assert "django, flask" in finding.subject


def test_pages_of_two_products_need_not_have_the_same_rows(tmp_path: Path) -> None:
    other = """\
## Code Security capabilities support

| Code Security capability | Minimum Python tracer version |
| --- | --- |
| Runtime Code Analysis (IAST) | Preview |

| Release | Support level |
| --- | --- |
| `<1` | Maintenance |
| `>=1.0,<2` | Maintenance |
"""
    finding = single(audited(tmp_path, one=PAGE, two=other), FindingKind.SUPPORT_LEVEL_DIFFERS)
    assert {place.document for place in finding.stale} == {"one"}


def test_a_minimum_that_no_branch_and_no_runtime_allows(tmp_path: Path) -> None:
    page = changed(("| Threat Protection | 1.10.0", "| Threat Protection | 2.6.0"))
    findings = audited(tmp_path, one=page)
    assert [finding.kind for finding in findings] == [
        FindingKind.MINIMUM_OUTSIDE_BRANCHES,
        FindingKind.MINIMUM_OUTSIDE_RUNTIMES,
    ]
    branches = {line_of(page, start) for start in ("| `<1`", "| `>=1.0,<2`")}
    assert stale(findings[0]) == {f"one:{line}" for line in branches}
    capability = f"one:{line_of(page, '| Threat Protection |')}"
    assert all(capability in lines(finding) for finding in findings)


def test_a_contradiction_within_one_page(tmp_path: Path) -> None:
    table = "| Type | Software Composition Analysis |\n| --- | --- |\n| Docker | |\n\n"
    page = changed(("## Language and framework", table + "## Language and framework"))
    finding = single(audited(tmp_path, one=page), FindingKind.STATUS_DIFFERS)
    assert len(finding.places) == 2
    assert not finding.stale
    assert "one page says both" in finding.reason


def test_a_note_that_affirms_what_a_row_denies(tmp_path: Path) -> None:
    column = " Software Composition Analysis supported? |"
    note = "##### Capability Notes\n- **Software Composition Analysis** is {} on all frameworks\n\n"
    page = changed(
        ("Threat Protection supported? |", f"Threat Protection supported? |{column}"),
        ("Threat Detection supported? |", "Threat Detection supported? |"),
        ("| Django | 1.8 | {{< X >}} | {{< X >}} |", "| Django | 1.8 | {{< X >}} | {{< X >}} | |"),
        (
            "| Flask | 0.10 | {{< X >}} | {{< X >}} |",
            "| Flask | 0.10 | {{< X >}} | {{< X >}} | {{< X >}} |",
        ),
        ("### Supported frameworks\n", note.format("supported") + "### Supported frameworks\n"),
    ).replace("supported? |\n| --- | --- | --- | --- |", "supported? |\n|" + " --- |" * 5)
    finding = single(audited(tmp_path, one=page), FindingKind.NOTE_AGAINST_TABLE)
    django = f"one:{line_of(page, '| Django |')}"
    assert lines(finding) == {f"one:{line_of(page, '- **Soft')}", django}
    denied = page.replace("is supported on all", "is not supported on all")
    finding = single(audited(tmp_path, one=denied), FindingKind.NOTE_AGAINST_TABLE)
    assert f"one:{line_of(page, '| Flask |')}" in lines(finding)
    assert django not in lines(finding)


def test_unread_lines_may_contain_what_is_missing(tmp_path: Path) -> None:
    row = "| Threat Protection | 1.10.0 |\n"
    claims = claims_of(tmp_path, one=PAGE, two=changed((row, row + "| API Security | 1.15.0 |\n")))
    (finding,) = compare_documents(claims, unread={"one": [12]})
    assert not finding.stale
    assert "one:12" in finding.reason


def test_every_kind_has_texts() -> None:
    assert set(finding_texts()) == set(FindingKind)
