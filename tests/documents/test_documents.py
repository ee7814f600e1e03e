"""Claims of one fixture document per language."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.claim_lines import DOCUMENTS, claim_lines

from matrix.documents.document import read_document


@pytest.mark.parametrize("name", ["de", "es", "fr", "ja", "ko", "pt"])
def test_the_language_of_a_page_is_detected_and_everything_is_understood(name: str) -> None:
    reading = read_document(DOCUMENTS / f"{name}.md")
    assert reading.problems == ()
    assert reading.notices == ()
    assert {claim.language for claim in reading.claims} == {name}
    kinds = {claim.kind.value for claim in reading.claims}
    assert kinds >= {"capability", "branch", "runtime", "note"}


def test_a_requested_language_wins_with_english_as_fallback() -> None:
    reading = read_document(DOCUMENTS / "markdoc.md", language="de")
    assert {claim.language for claim in reading.claims} == {"de"}
    assert reading.problems == ()
    assert len(reading.claims) == len(read_document(DOCUMENTS / "markdoc.md").claims)


def test_the_language_is_detected_from_the_folder(tmp_path: Path) -> None:
    page = tmp_path / "content" / "pt" / "python.md"
    page.parent.mkdir(parents=True)
    page.write_text("| Framework | Version |\n|---|---|\n| Django | 1.8 |\n", encoding="utf-8")
    assert read_document(page).claims[0].language == "pt"


def test_capabilities_and_the_status_behind_a_name_or_in_the_cell() -> None:
    assert claim_lines("fr", "capability") == [
        "11 threat-detection >=1.9.1 supported",
        "12 threat-protection >=1.10.2 supported",
        "13 sca >=1.5.3 supported",
        "14 iast private-beta",
    ]
    assert claim_lines("es", "capability")[2] == "10 iast >=2.9.3 preview"
    assert claim_lines("de", "capability")[2] == "10 iast >=2.21.0 preview"
    assert claim_lines("ko", "capability")[1] == "9 iast >=2.21.0 preview"
    assert claim_lines("ja", "capability")[0] == "8 threat-detection >=1.9.1 supported"


def test_deployments_of_each_capability_column() -> None:
    assert claim_lines("fr", "deployment") == [
        "22 threat-detection supported deployment=docker",
        "22 sca supported deployment=docker",
        "23 threat-detection supported deployment=aws-lambda",
        "23 sca not-supported deployment=aws-lambda",
    ]
    assert (
        claim_lines("ko", "deployment")[0] == "15 threat-detection supported deployment=kubernetes"
    )


def test_branches_with_an_end_date() -> None:
    assert claim_lines("de", "branch") == [
        "25 ddtrace >=1.0,<2 maintenance until=2024-01",
        "26 ddtrace >=2.0,<3 general-availability",
    ]
    assert claim_lines("fr", "branch")[:2] == [
        "29 ddtrace <1 end-of-life",
        "30 ddtrace >=1.0,<2 maintenance until=2024-01",
    ]


def test_each_python_of_a_range_on_each_processor_is_a_claim() -> None:
    assert claim_lines("ja", "runtime") == [
        f"20 cpython >=2 supported os=linux cpu={cpu} python={python}"
        for cpu in ("x86_64", "aarch64")
        for python in ("==2.7.*", "==3.5.*", "==3.6.*")
    ]
    assert claim_lines("pt", "runtime")[-1] == (
        "28 cpython >=2 supported os=windows cpu=x86 python===3.9.*"
    )


def test_an_open_range_is_one_claim_per_processor() -> None:
    assert claim_lines("fr", "runtime")[8:10] == [
        "36 cpython >=2 supported os=macos cpu=x86_64 python=>=3.7",
        "36 cpython >=2 supported os=macos cpu=arm64 python=>=3.7",
    ]


def test_frameworks_with_a_capability() -> None:
    assert claim_lines("ko", "framework") == [
        "32 django >=1.8 supported capability=threat-detection"
    ]
    assert claim_lines("pt", "framework") == [
        "34 flask >=0.10 supported capability=threat-detection"
    ]


def test_integrations_with_backend_role_and_condition() -> None:
    assert claim_lines("ja", "integration") == [
        "35 redis-py-cluster >=1.3.5 supported backend=redis automatic=yes",
        "36 aiohttp >=2.0 supported role=client automatic=no",
    ]
    assert claim_lines("es", "integration") == [
        "36 aiohttp >=2.0 supported role=client automatic=yes",
        "37 aiohttp >=2.0 supported role=server automatic=no",
    ]
    assert claim_lines("pt", "integration") == [
        "47 asyncio supported automatic=yes automatic_python=>3.7"
    ]
    assert claim_lines("fr", "integration")[1] == (
        "58 psycopg >=2.4,<3 supported backend=postgres automatic=yes"
    )


def test_the_spelling_of_a_version_is_kept() -> None:
    claims = {claim.id: claim for claim in read_document(DOCUMENTS / "de.md").claims}
    requests = claims["de/integration/requests"]
    assert requests.specifier == ">=2.08"
    assert requests.as_written == "2.08 und höher"


def test_each_version_of_an_authentication_framework_is_a_claim() -> None:
    assert claim_lines("es", "authentication") == [
        "45 django ==1.11.* supported",
        "45 django ==2.2.* supported",
        "45 django >=4.0 supported",
    ]


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        (
            "fr",
            [
                "16 remote-configuration-included supported capability=threat-protection",
                "41 request-tags supported",
                "42 distributed-tracing supported",
                "43 attacker-request-details supported",
                "51 flask-query-string not-supported",
            ],
        ),
        (
            "ja",
            [
                "24 request-tags supported",
                "25 distributed-tracing supported",
                "29 sca-all-frameworks supported capability=sca",
            ],
        ),
        ("ko", ["34 flask-query-string not-supported", "38 account-takeover supported"]),
        (
            "pt",
            [
                "36 flask-query-string not-supported",
                "40 datastore-query supported",
                "41 datastore-error supported",
            ],
        ),
    ],
)
def test_notes_are_recognized_by_their_words(name: str, notes: list[str]) -> None:
    assert claim_lines(name, "note") == notes


def test_the_matched_words_of_a_note_are_no_sentence() -> None:
    for claim in read_document(DOCUMENTS / "fr.md").claims:
        if claim.kind.value == "note":
            assert len(claim.as_written) < 70
