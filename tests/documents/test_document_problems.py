"""Problems name the line and the nearest word, and the rest of the document is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.claim_lines import DOCUMENTS, claim_line, read_page

from matrix.documents.document import read_document, read_documents
from matrix.documents.source import MAX_BYTES
from matrix.errors import DocumentProblems, Problem, UnreadableInputError, UsageError


def problems_of(tmp_path: Path, text: str) -> list[Problem]:
    return list(read_page(tmp_path, text).problems)


def test_every_unknown_word_of_a_page_is_a_problem_with_its_line() -> None:
    reading = read_document(DOCUMENTS / "misspelt.md")
    located = [(problem.line, problem.suggestion) for problem in reading.problems]
    assert [line for line, _ in located] == [6, 8, 9, 16, 17, 23, 27, 31, 36]
    assert (8, "threat detection") in located
    assert (16, "docker") in located
    assert {problem.document for problem in reading.problems} == {"misspelt"}
    assert [claim_line(claim) for claim in reading.claims] == [
        "10 threat-protection >=1.10.2 supported"
    ]


def test_an_unknown_tag_in_a_cell_is_a_problem() -> None:
    reading = read_document(DOCUMENTS / "misspelt.md")
    (problem,) = [problem for problem in reading.problems if problem.line == 17]
    assert "mystery" in problem.message


def test_an_unknown_table_names_its_rows() -> None:
    reading = read_document(DOCUMENTS / "misspelt.md")
    (problem,) = [problem for problem in reading.problems if problem.line == 31]
    assert "'Colour'" in problem.message
    assert "2 rows, lines 33-34" in problem.message


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("| Threat Detection |\n", 1, "outside"),
        ("<table><tr><td>Django</td></tr></table>\n", 1, "unknown kind"),
        ("## Supported frameworks\n\nDjango 9 is not supported.\n", 3, "Django 9"),
        ("Warning: it may rain.\n", 1, "rain"),
        ("## Elsewhere\n\n- Quark 1.8+\n", 3, "Quark"),
        ("| Framework | Versions |\n|---|---|\n| Django | 1.8 | 2.0 |\n", 3, "beyond"),
        (
            "| Framework | Versions | Version |\n|---|---|---|\n| Django | 1.8 | 2 |\n",
            1,
            "same role",
        ),
        ("| Framework | Versions |\n|---|---|\n| Django | |\n", 3, "no version"),
        ("| Framework | Versions |\n|---|---|\n| | 1.8 |\n", 3, "name"),
        ("| Release | Support level |\n|---|---|\n| `<1` | cosy |\n", 3, "cosy"),
        ("| Release | Support level |\n|---|---|\n| `<1` | |\n", 3, "level"),
        ("| Release | Support level |\n|---|---|\n| one | Maintenance |\n", 3, "one"),
    ],
)
def test_rows_and_texts_that_look_like_claims_are_problems(
    tmp_path: Path, text: str, line: int, word: str
) -> None:
    problems = problems_of(tmp_path, text)
    assert [problem.line for problem in problems][:1] == [line]
    assert word in problems[0].message


def test_a_version_cell_with_a_status(tmp_path: Path) -> None:
    head = "| Library | Version | Automatic |\n|---|---|---|\n"
    rows = "| rq | not supported | no |\n| httpx | >= 0.17 (beta) | yes |\n"
    assert [claim_line(claim) for claim in read_page(tmp_path, head + rows).claims] == [
        "3 rq not-supported automatic=no",
        "4 httpx >=0.17 preview automatic=yes",
    ]


def test_ordinary_prose_has_no_problems(tmp_path: Path) -> None:
    text = (
        "# Python\n\nThe library is good. It has a `versioning policy`.\n\n"
        "- a list of no importance\n\n```\n| not | a table |\n```\n\n"
        "## Supported frameworks\n\n**Datastore tracing provides:**\n\n"
        "| Framework | Versions |\n|---|---|\n| Django | 1.8 |\n"
    )
    assert problems_of(tmp_path, text) == []


def test_problems_of_all_documents_are_raised_together(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("| Release | Support level |\n|---|---|\n| `<1` | cosy |\n", encoding="utf-8")
    with pytest.raises(DocumentProblems) as caught:
        read_documents([DOCUMENTS / "misspelt.md", other, tmp_path / "gone.md"])
    assert {problem.document for problem in caught.value.problems} == {"misspelt", "other", "gone"}


def test_lenient_keeps_the_rest(tmp_path: Path) -> None:
    gone = tmp_path / "gone.md"
    reading = read_documents([DOCUMENTS / "misspelt.md", gone, DOCUMENTS / "ko.md"], lenient=True)
    assert len(reading.problems) == 10
    assert {claim.document for claim in reading.claims} == {"misspelt", "ko"}


def test_a_page_about_another_tracer_is_rejected() -> None:
    with pytest.raises(UnreadableInputError, match="java tracer"):
        read_document(DOCUMENTS / "other-tracer.md")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", ":3: binary file"),
        ("| 言語 |\n|---|\n| 日本 |".encode("shift_jis"), ":1: not UTF-8 text"),
        (b"all is well\nbut this \xff is not\n", ":2: not UTF-8 text"),
        (b"# A page\n\nabout something else\n", "no compatibility table"),
        (b"x" * (MAX_BYTES + 1), "bytes"),
    ],
)
def test_invalid_files_are_rejected_with_a_hint(tmp_path: Path, data: bytes, message: str) -> None:
    page = tmp_path / "page.md"
    page.write_bytes(data)
    with pytest.raises(UnreadableInputError) as caught:
        read_document(page)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.md", tmp_path):
        with pytest.raises(UnreadableInputError) as caught:
            read_document(path)
        assert str(path) in caught.value.message


def test_a_language_without_a_vocabulary(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'jp'"):
        read_page(tmp_path, "text", "jp")
