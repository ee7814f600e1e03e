"""The documents of 2024 and later, read without a lost row; rows are counted here, not by us."""

from __future__ import annotations

import json
import re

import pytest
from helpers.claim_lines import claim_line

from matrix.documents.document import ReadDocument, read_document
from matrix.system.paths import project_root

LATER = project_root().parent / "shared" / "documents" / "later"
pytestmark = pytest.mark.skipif(
    not LATER.is_dir(), reason="the later documents are not available (../shared/documents/later)"
)
OTHERS = ("Java", ".NET", "Node", "Ruby", "PHP", "Go")


def read(name: str) -> ReadDocument:
    return read_document(LATER / name, partials=LATER)


def rows_of(name: str) -> dict[int, str]:
    """Return the rows of a page's tables by their lines, without headers."""
    lines = (LATER / name).read_text(encoding="utf-8").split("\n")
    is_row = [line.startswith("|") for line in lines]
    is_rule = [bool(re.fullmatch(r"[|\s:-]+", line)) for line in lines]
    return {
        number + 1: line
        for number, line in enumerate(lines)
        if is_row[number] and not is_rule[number] and not is_rule[min(number + 1, len(lines) - 1)]
    }


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("aap-2025.en.md", 9),
        ("aap-index-2025.en.md", 6),
        ("apm-2024.en.md", 80),
        ("serverless-2025.en.md", 20),
    ],
)
def test_every_row_is_a_claim_or_about_another_tracer(name: str, rows: int) -> None:
    reading = read(name)
    written = rows_of(name)
    assert len(written) == rows
    claimed = {claim.line for claim in reading.claims}
    lost = {line: text for line, text in written.items() if line not in claimed}
    others = {line for line, text in lost.items() if text.strip("| \t").startswith(OTHERS)}
    assert set(lost) == others
    assert bool(others) == any("rows of other tracers" in str(item) for item in reading.notices)


def test_each_range_of_the_registry_is_a_claim_with_its_tested_releases() -> None:
    entries = json.loads((LATER / "supported_versions.json").read_text(encoding="utf-8"))
    reading = read("supported_versions.json")
    assert reading.problems == ()
    expected = [
        (
            entry["dependency"],
            entry["integration"],
            python,
            tuple(version for version in ranges["tested_versions"] if version),
        )
        for entry in entries
        for python, ranges in entry["python_versions"].items()
    ]
    assert len(reading.claims) == len(expected) == 595
    found = [
        (item.dependency, item.integration, item.python, item.versions) for item in reading.tested
    ]
    assert found == expected


def test_the_partial_alone_and_on_its_page_says_the_same() -> None:
    alone = read("supported_runtimes.html").claims
    joined = [claim for claim in read("aap-2025.en.md").claims if claim.get("partial")]
    assert [claim.fact for claim in joined] == [claim.fact for claim in alone]
    assert {claim.heading for claim in joined} == {"Supported Python versions"}


def test_only_the_column_and_the_rows_of_python_are_ours() -> None:
    index = [claim_line(claim) for claim in read("aap-index-2025.en.md").claims]
    assert index == [
        "12 threat-detection >=1.9.0 supported",
        "13 api-security >=2.6.0 supported",
        "14 threat-protection >=1.10.0 supported",
        "15 custom-blocked-response >=1.19.0 supported",
        "16 user-events >=2.11.0 supported",
        "17 automatic-user-activity-event-tracking-deprecated-modes >=1.17.0 supported",
    ]
    serverless = read("serverless-2025.en.md").claims
    assert [claim_line(claim) for claim in serverless if claim.kind.value == "deployment"] == [
        "20 threat-detection supported deployment=aws-lambda",
        "57 threat-detection preview deployment=google-cloud-run",
        "73 threat-detection supported deployment=azure-app-service os=linux",
    ]
    triggers = [claim for claim in serverless if claim.subject == "trigger-type"]
    assert [claim.line for claim in triggers] == [27, 28, 29, 30]
    assert {claim.get("deployment") for claim in triggers} == {"aws-lambda"}
