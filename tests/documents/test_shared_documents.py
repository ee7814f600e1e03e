"""The five documents that the facts were read from, if they are available."""

from __future__ import annotations

import collections
import re
from pathlib import Path

import pytest
from helpers.claim_lines import claim_line

from matrix.documents.document import ReadDocument, read_documents
from matrix.documents.facts import FACTS, load_facts
from matrix.system.paths import project_root

SHARED = project_root().parent / "shared" / "documents"
pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(),
    reason="the compatibility documents are not available (../shared/documents)",
)


@pytest.fixture(scope="module")
def reading() -> ReadDocument:
    return read_documents(sorted(SHARED.glob("*.txt")))


def test_the_committed_facts_equal_the_documents(reading: ReadDocument) -> None:
    assert reading.claims == load_facts()
    assert reading.problems == reading.notices == ()


@pytest.mark.parametrize(
    ("prefix", "language", "counts"),
    [
        ("000", "ja", {"capability": 4, "deployment": 10, "framework": 4, "note": 12}),
        (
            "001",
            "ko",
            {"capability": 7, "deployment": 10, "framework": 4, "note": 14, "authentication": 4},
        ),
        (
            "003",
            "en",
            {"capability": 6, "deployment": 10, "framework": 4, "note": 14, "authentication": 4},
        ),
        ("004", "en", {"capability": 2, "deployment": 20, "framework": 2, "note": 8}),
    ],
)
def test_counts_by_kind(
    reading: ReadDocument, prefix: str, language: str, counts: dict[str, int]
) -> None:
    claims = [claim for claim in reading.claims if claim.document.startswith(prefix)]
    counted = collections.Counter(claim.kind.value for claim in claims)
    assert counted == {**counts, "branch": 2, "runtime": 56}
    assert {claim.language for claim in claims} == {language}


def test_counts_of_the_tracing_page(reading: ReadDocument) -> None:
    claims = [claim for claim in reading.claims if claim.document.startswith("002")]
    counted = collections.Counter(claim.kind.value for claim in claims)
    assert counted == {"branch": 2, "runtime": 63, "integration": 62}


@pytest.mark.parametrize(
    ("prefix", "line", "expected"),
    [
        ("000", 16, ["16 iast private-beta"]),
        ("000", 69, ["69 flask-query-string not-supported"]),
        ("001", 15, ["15 custom-blocked-response >=1.19.0 supported"]),
        ("001", 30, [
            "30 threat-detection supported deployment=aws-lambda",
            "30 sca not-supported deployment=aws-lambda",
        ]),
        ("002", 34, [
            "34 cpython >=2 supported os=linux cpu=x86_64 python=>=3.7",
            "34 cpython >=2 supported os=linux cpu=i686 python=>=3.7",
            "34 cpython >=2 supported os=linux cpu=aarch64 python=>=3.7",
        ]),
        ("002", 50, ["50 aiohttp >=2.0 supported role=server automatic=no"]),
        ("002", 58, ["58 gunicorn >=20.0.04 supported automatic=no"]),
        ("002", 88, ["88 aiopg >=0.12.0,<=0.16 supported backend=postgres automatic=yes"]),
        ("002", 94, ["94 redis-py-cluster >=1.3.5 supported backend=redis automatic=yes"]),
        ("002", 107, ["107 asyncio supported automatic=yes automatic_python=>3.7"]),
        ("002", 121, ["121 requests >=2.08 supported automatic=yes"]),
        ("003", 89, ["89 db-api supported note=sqlite, mysql, postgres, mariadb"]),
        ("003", 100, [
            "100 django ==1.11.* supported",
            "100 django ==2.2.* supported",
            "100 django ==3.2.* supported",
            "100 django >=4.0 supported",
        ]),
        ("004", 27, [
            "27 sca supported deployment=docker", "27 iast preview deployment=docker",
        ]),
    ],
)  # fmt: skip
def test_lines_of_the_documents(
    reading: ReadDocument, prefix: str, line: int, expected: list[str]
) -> None:
    lines = [
        claim_line(claim)
        for claim in reading.claims
        if claim.document.startswith(prefix) and claim.line == line
    ]
    assert lines == expected


@pytest.mark.parametrize("path", sorted(SHARED.glob("*.txt")), ids=lambda path: str(path.name[:3]))
def test_every_row_of_every_table_is_a_claim(reading: ReadDocument, path: Path) -> None:
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = {
        number
        for number, line in enumerate(lines, start=1)
        if line.startswith("|") and not re.fullmatch(r"[|\s:-]+", line)
    }
    header_rows = {number for number in rows if re.fullmatch(r"[|\s:-]+", lines[number] or "x")}
    claim_lines = {claim.line for claim in reading.claims if claim.document == path.stem}
    assert rows - header_rows - claim_lines == set()
    assert len(rows - header_rows) > 10


def test_no_sentence_of_the_documents_is_in_the_facts() -> None:
    facts = FACTS.read_text(encoding="utf-8")
    for path in SHARED.glob("*.txt"):
        for line in path.read_text(encoding="utf-8").split("\n"):
            sentence = line.strip("-* ")
            if len(sentence) > 60 and not line.startswith(("|", "[")):
                assert sentence not in facts
