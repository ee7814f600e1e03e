"""Dialects of pages: Hugo, Markdoc, HTML, lists in place of tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.claim_lines import DOCUMENTS, claim_line, claim_lines, read_page

from matrix.documents.document import read_document
from matrix.model.claim import Claim


def claims_of(tmp_path: Path, text: str) -> list[Claim]:
    reading = read_page(tmp_path, text)
    assert reading.problems == ()
    return list(reading.claims)


def test_tags_icons_indentation_and_anchors() -> None:
    assert claim_lines("markdoc", "deployment") == [
        "21 threat-detection supported deployment=docker",
        "22 threat-detection supported deployment=kubernetes",
        "23 threat-detection not-supported deployment=aws-lambda",
        "24 threat-detection supported deployment=amazon-ecs",
        "25 threat-detection preview deployment=aws-fargate",
    ]
    headings = {claim.heading for claim in read_document(DOCUMENTS / "markdoc.md").claims}
    assert headings == {
        "App and API Protection capabilities",
        "Supported Python versions",
        "Supported frameworks",
    }


def test_names_of_today_for_capabilities_and_a_table_of_exploits() -> None:
    assert claim_lines("today", "capability") == [
        "7 http-monitoring >=1.16.0 supported",
        "8 grpc-monitoring not-supported",
        "9 graphql-monitoring not-supported",
        "10 exploit-prevention >=2.20.0 supported",
        "11 api-security >=4.6.0 supported",
        "12 account-takeover-protection >=2.11.0 supported",
        "13 runtime-activation >=1.6.0 supported",
        "14 sca >=1.5.0 supported",
        "15 iast >=3.15.0 supported",
        "21 exploit-prevention-ssrf >=2.15.0 supported",
        "22 exploit-prevention-lfi >=2.15.0 supported",
        "23 exploit-prevention-sql-injection >=2.16.0 supported",
        "24 exploit-prevention-command-injection >=2.15.0 supported",
    ]


def test_two_tables_without_a_blank_line_and_cells_joined_by_breaks() -> None:
    assert claim_lines("markdoc", "branch") == [
        "33 ddtrace >=2,<3 maintenance until=2026-03 note=Datadog Agent 7.28"
    ]
    assert len(claim_lines("markdoc", "runtime")) == 6


def test_a_commented_table_has_no_claims() -> None:
    assert [line.split()[1] for line in claim_lines("markdoc", "framework")] == ["django", "flask"]


def test_rows_without_the_closing_pipe_escaped_pipes_and_links() -> None:
    assert claim_lines("markdoc", "framework") == [
        "52 django >=1.8 supported capability=threat-detection",
        "53 flask >=0.10 not-supported capability=threat-detection",
    ]


def test_backticks_status_words_and_a_column_of_notes() -> None:
    assert claim_lines("markdoc", "capability") == [
        "12 threat-detection >=1.9.1 supported",
        "13 iast >=2.21.0 preview note=opt in",
        "14 api-security not-supported",
    ]


def test_rows_that_join_lines_yield_a_claim_for_each() -> None:
    assert claim_lines("joined", "capability") == [
        "8 threat-protection >=1.9.1 supported",
        "8 ip-blocking >=2.0 supported",
        "8 user-blocking not-supported",
        "9 sca >=1.5.3 supported",
    ]
    assert claim_lines("joined", "framework") == ["23 django >=1.8 supported"]


def test_a_section_about_another_tracer_is_skipped_with_a_notice() -> None:
    (notice,) = read_document(DOCUMENTS / "joined.md").notices
    assert (notice.line, "ruby" in notice.message) == (11, True)


def test_a_partial_yields_a_notice() -> None:
    reading = read_document(DOCUMENTS / "partials.md")
    assert reading.problems == ()
    assert [notice.line for notice in reading.notices] == [8, 12]
    assert "python/branches.html" in reading.notices[0].message


def test_lists_in_place_of_tables() -> None:
    reading = read_document(DOCUMENTS / "partials.md")
    assert [claim_line(claim) for claim in reading.claims] == [
        "16 django >=2.0 supported",
        "17 flask >=1.0 supported",
        "21 cpython supported os=linux cpu=x86_64",
        "21 cpython supported os=linux cpu=aarch64",
        "22 cpython supported os=windows cpu=x86",
        "26 rq >=1.8 supported",
    ]


def test_a_pipe_in_a_link_of_the_documentation_column_is_ignored(tmp_path: Path) -> None:
    text = (
        "| Library | Version | Automatic | Documentation |\n|---|---|---|---|\n"
        "| [Redis][1] [aredis][2] | Fully Supported | yes | https://x.example/#|aredis\n"
    )
    assert [claim_line(claim) for claim in claims_of(tmp_path, text)] == [
        "3 aredis supported backend=redis automatic=yes"
    ]


def test_a_delimiter_row_of_another_width_does_not_hide_the_table(tmp_path: Path) -> None:
    text = "| Framework | Versions | Threat Detection |\n|---|---|\n| Django | 1.8 | yes |\n"
    assert [claim_line(claim) for claim in claims_of(tmp_path, text)] == [
        "3 django >=1.8 supported capability=threat-detection"
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_byte_order_marks(tmp_path: Path, newline: str, encoding: str) -> None:
    text = (DOCUMENTS / "fr.md").read_text(encoding="utf-8").replace("\n", newline)
    page = tmp_path / "fr.md"
    page.write_bytes(text.encode(encoding))
    reading = read_document(page)
    plain = read_document(DOCUMENTS / "fr.md")
    assert [claim_line(claim) for claim in reading.claims] == [
        claim_line(claim) for claim in plain.claims
    ]


def test_front_matter_that_is_never_closed_hides_nothing(tmp_path: Path) -> None:
    text = "---\n\n| Framework | Versions |\n|---|---|\n| Django | 1.8 |\n"
    assert [claim_line(claim) for claim in claims_of(tmp_path, text)] == [
        "5 django >=1.8 supported"
    ]


def test_text_after_a_table_is_not_a_row(tmp_path: Path) -> None:
    text = (
        "## Supported frameworks\n\n| Framework | Versions |\n|---|---|\n| Django | 1.8 |\n"
        "Query strings are not supported for Flask.\n"
    )
    assert [claim_line(claim) for claim in claims_of(tmp_path, text)] == [
        "5 django >=1.8 supported",
        "6 flask-query-string not-supported",
    ]
