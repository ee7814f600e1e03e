"""Inputs that are easily read wrongly: what is not understood is a problem, never a claim."""

# ruff: noqa: RUF001 - characters of other scripts and widths stand in real pages

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from helpers.claim_lines import claim_line, read_page

from matrix.documents.document import ReadDocument, read_document
from matrix.errors import UnreadableInputError

NOTES = "### Web framework compatibility\n\n"
FRAMEWORKS = (
    "### Supported frameworks\n\n| Framework | Versions | Threat Detection |\n|---|---|---|\n"
    "| Django | 1.8 | yes |\n"
)
LIBRARIES = (
    "### Library compatibility\n\n| Library | Supported version | Automatic |\n|---|---|---|\n"
)


def claims(reading: ReadDocument) -> list[str]:
    """Return the claims as lines, without the scope's capability."""
    return [claim_line(claim) for claim in reading.claims]


def front(language: str) -> str:
    """Return the front matter of a page in a language, three lines."""
    return f"---\nlanguage: {language}\n---\n"


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "**SCA** no longer works on all frameworks"),
        ("en", "**SCA** is yet to be available on all frameworks"),
        ("en", "**SCA** works on all frameworks except Flask"),
        ("en", "**SCA** isn't supported on all frameworks except Flask"),
        ("en", "**SCA** has been dropped on all frameworks"),
        ("fr", "**SCA** n'est plus pris en charge sur tous les frameworks"),
        ("fr", "**SCA** fonctionne sur tous les frameworks sauf Flask"),
        ("de", "**SCA** wird nicht von allen Frameworks unterstützt"),
        ("de", "**SCA** läuft auf allen Frameworks außer Flask"),
        ("es", "**SCA** ya no está disponible en todos los frameworks"),
        ("es", "**SCA** funciona en todos los frameworks excepto Flask"),
        ("pt", "**SCA** não funciona em todos os frameworks"),
        ("pt", "**SCA** funciona em todos os frameworks exceto Flask"),
        ("ja", "**SCA** はすべてのフレームワークで動作しません"),
        ("ja", "**SCA** は Flask を除くすべてのフレームワークでサポートされています"),
        ("ko", "**SCA**는 모든 프레임워크에서 작동하지 않습니다"),
        ("ko", "**SCA**는 Flask를 제외한 모든 프레임워크에서 지원됩니다"),
    ],
)
def test_a_note_is_no_claim_where_it_is_negated_or_restricted(
    tmp_path: Path, language: str, sentence: str
) -> None:
    reading = read_page(tmp_path, f"{front(language)}{NOTES}- {sentence}\n")
    assert [claim for claim in reading.claims if claim.status.value == "supported"] == []
    assert reading.claims or [problem.line for problem in reading.problems] == [6]


def test_a_denial_is_about_its_own_sentence(tmp_path: Path) -> None:
    text = "- **SCA** is supported on all frameworks. Query strings are not supported for Flask.\n"
    reading = read_page(tmp_path, NOTES + text)
    assert claims(reading) == [
        "3 sca-all-frameworks supported capability=sca",
        "3 flask-query-string not-supported",
    ]


def test_a_denial_beside_a_note_that_is_not_understood_is_a_problem(tmp_path: Path) -> None:
    text = "- **SCA** is supported on all frameworks. This is not supported with uWSGI.\n"
    reading = read_page(tmp_path, NOTES + text)
    assert len(reading.claims) == 1
    assert ["uWSGI" in problem.message for problem in reading.problems] == [True]


def test_unread_denials_of_one_text_are_told_in_its_order(tmp_path: Path) -> None:
    names = [f"Server{number}" for number in range(8)]
    denials = " ".join(f"{name} is not supported." for name in names)
    text = f"- **SCA** is supported on all frameworks. {denials}\n"
    problems = read_page(tmp_path, NOTES + text).problems
    assert [problem.message.split()[2].strip("'") for problem in problems] == names


@pytest.mark.parametrize(
    "written", ["1.9.0<sup>1</sup>", "1.9.0[^1]", "1.9.0¹", "1.9.0†", "1.9.0<sup>a</sup>"]
)
def test_the_mark_of_a_footnote_is_no_digit_of_the_version(tmp_path: Path, written: str) -> None:
    page = f"| Capability | Minimum tracer version |\n|---|---|\n| SCA | {written} |\n"
    assert claims(read_page(tmp_path, page)) == ["3 sca >=1.9.0 supported"]


def test_a_digit_in_another_element_is_not_glued_to_the_version(tmp_path: Path) -> None:
    page = (
        '| Capability | Minimum tracer version |\n|---|---|\n| SCA | 1.9.0<a href="#fn">1</a> |\n'
    )
    reading = read_page(tmp_path, page)
    assert (reading.claims, len(reading.problems)) == ((), 1)


def test_prose_about_pythons_is_read(tmp_path: Path) -> None:
    reading = read_page(tmp_path, "Python versions `2.7` and `3.5` and onwards are supported.\n")
    assert claims(reading) == [
        "1 cpython supported python===2.7.*",
        "1 cpython supported python=>=3.5",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "PyPy and Windows are not supported.",
        "Django 1.8 and Flask 0.10 are supported.",
        "CPython 3.5 is supported by ddtrace 1.9.",
        "Kubernetes is not supported.",
    ],
)
def test_other_prose_that_promises_or_denies_is_a_problem(tmp_path: Path, sentence: str) -> None:
    reading = read_page(tmp_path, f"{sentence}\n\n{FRAMEWORKS}")
    assert claims(reading) == ["7 django >=1.8 supported capability=threat-detection"]
    assert [problem.line for problem in reading.problems] == [1]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("[MySQL][1] mysql-connector", ["mysql-connector supported backend=mysql"]),
        ("[redis][1], [valkey][2]", ["redis supported", "valkey supported"]),
        ("[redis][1] / [valkey][2]", ["redis supported", "valkey supported"]),
        ("redis, valkey", ["redis supported", "valkey supported"]),
        ("[リクエスト](https://pypi.org/project/requests/)", ["requests supported"]),
        ("[requêtes][9]", ["requests supported"]),
        ("pymongo (deprecated)", ["pymongo end-of-life"]),
    ],
)
def test_names_of_a_row(tmp_path: Path, cell: str, expected: list[str]) -> None:
    reference = "\n[9]: https://ddtrace.readthedocs.io/en/stable/integrations.html#requests\n"
    reading = read_page(tmp_path, f"{LIBRARIES}| {cell} | >= 2 | yes |\n{reference}")
    read = [line.removeprefix("5 ").removesuffix(" automatic=yes") for line in claims(reading)]
    assert ([line.replace(">=2 ", "") for line in read], reading.problems) == (expected, ())


def test_a_word_beside_a_link_to_no_back_end_is_a_problem(tmp_path: Path) -> None:
    reading = read_page(tmp_path, f"{LIBRARIES}| [Flask][1] extension | >= 2 | yes |\n")
    assert (reading.claims, [problem.line for problem in reading.problems]) == ((), [5])


def test_a_version_beside_automatic_must_be_one_of_python(tmp_path: Path) -> None:
    reading = read_page(tmp_path, f"{LIBRARIES}| rq | >= 2 | Yes, since 2.1 |\n")
    assert (reading.claims, [problem.line for problem in reading.problems]) == ((), [5])


@pytest.mark.parametrize(
    "tag", ["{{% capabilities %}}", "{{< capabilities >}}", "{% capabilities /%}", "~~SCA~~"]
)
def test_what_stands_elsewhere_or_is_struck_out_is_said(tmp_path: Path, tag: str) -> None:
    reading = read_page(tmp_path, f"{tag}\n\n{FRAMEWORKS}")
    assert [notice.line for notice in reading.notices] == [1]


@pytest.mark.parametrize("row", ["｜ Flask ｜ 0.10 ｜ yes ｜", "    | Flask | 0.10 | yes |"])
def test_a_row_of_other_pipes_or_indentation_is_a_row(tmp_path: Path, row: str) -> None:
    reading = read_page(tmp_path, f"{FRAMEWORKS}{row}\n")
    assert claims(reading)[1:] == ["6 flask >=0.10 supported capability=threat-detection"]


@pytest.mark.parametrize("opening", ["```", "~~~~", "<!--", "{{% comment %}}"])
def test_what_is_never_closed_swallows_nothing_in_silence(tmp_path: Path, opening: str) -> None:
    reading = read_page(tmp_path, f"{FRAMEWORKS}\n{opening}\n\n{FRAMEWORKS}")
    assert [problem.line for problem in reading.problems] == [7]
    assert "never closed" in reading.problems[0].message


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("CSV", "name,min\nsqlite,1\nmysql,2\nmariadb,3\n"),
        ("CSV", "name;min\nsqlite;1\nmysql;2\n"),
        ("JSON", '[{"dependency": "redis", "minimum": "2.6"}]\n'),
        ("reStructuredText", "Supported Libraries\n~~~~~~~~~~~~~~~~~~~\n\nflask 0.10\n"),
        ("reStructuredText", ".. list-table::\n\n   * - flask\n     - 0.10\n"),
    ],
)
def test_a_file_of_another_format_is_called_so(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(UnreadableInputError, match=f"is {name}, not Markdown"):
        read_page(tmp_path, text)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("there are no such pipes there")
    path = tmp_path / "page.md"
    os.mkfifo(path)
    with pytest.raises(UnreadableInputError, match="not a regular file"):
        read_document(path)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("!= 1.10.0", ["!=1.10.0"]),
        (">= 1.9, != 1.10.0", [">=1.9,!=1.10.0"]),
        ("<1, >=3", ["<1", ">=3"]),
        (">= 3, < 1", []),
        ("3.5-1.9", []),
    ],
)
def test_bounds_that_exclude_each_other(tmp_path: Path, written: str, expected: list[str]) -> None:
    page = f"| Capability | Minimum tracer version |\n|---|---|\n| SCA | {written} |\n"
    reading = read_page(tmp_path, page)
    assert [claim.specifier for claim in reading.claims] == expected
    assert [problem.line for problem in reading.problems] == ([] if expected else [3])


@pytest.mark.parametrize(
    "struck", ["<del>yes</del>", "~~yes~~", "<s>yes</s>", "<strike>{{< X >}}</strike>"]
)
def test_a_row_with_struck_out_text_is_a_problem(tmp_path: Path, struck: str) -> None:
    page = f"| Type | Threat Detection | SCA |\n|---|---|---|\n| Docker | {struck} | yes |\n"
    reading = read_page(tmp_path, page)
    assert (reading.claims, [problem.line for problem in reading.problems]) == ((), [3])


@pytest.mark.parametrize(
    ("picture", "statuses"),
    [
        ('<img src="a.svg" alt="yes">', ["supported"]),
        ("![no](a.svg)", ["not-supported"]),
        ('<img src="a.svg">', []),
        ('<span class="check"></span>', []),
    ],
)
def test_a_picture_is_its_text_and_never_an_empty_cell(
    tmp_path: Path, picture: str, statuses: list[str]
) -> None:
    page = f"| Type | SCA |\n|---|---|\n| Docker | {picture} |\n"
    reading = read_page(tmp_path, page)
    assert [claim.status.value for claim in reading.claims] == statuses
    assert len(reading.problems) == (0 if statuses else 1)


@pytest.mark.parametrize(
    "text",
    [
        "Flask\n: 0.10+\n",
        "<ul>\n\n<li>Flask 0.10+</li>\n</ul>\n",
        "<dl><dt>Flask</dt>\n<dd>0.10+</dd></dl>\n",
    ],
)
def test_lists_of_other_forms_are_read(tmp_path: Path, text: str) -> None:
    reading = read_page(tmp_path, f"### Supported frameworks\n\n{text}\n{FRAMEWORKS}")
    assert ("flask", ">=0.10") in [(claim.subject, claim.specifier) for claim in reading.claims]
    assert reading.problems == ()


def test_a_table_of_html_is_read_with_its_lines_and_spans(tmp_path: Path) -> None:
    page = (
        "### Supported frameworks\n\n<table>\n<thead><tr><th>Framework</th><th>Versions</th>"
        "<th>SCA</th></tr></thead>\n\n<tr><td>Django</td><td rowspan='2'>1.8</td>\n"
        "<td>yes</td></tr>\n<tr><td><a href='x'>Flask</a></td><td>no</td></tr>\n</table>\n"
        "\n### Library compatibility\n\n- rq 1.8+\n"
    )
    assert claims(read_page(tmp_path, page)) == [
        "6 django >=1.8 supported capability=sca",
        "8 flask >=1.8 not-supported capability=sca",
        "13 rq >=1.8 supported",
    ]


def test_a_note_under_the_heading_of_a_deployment_is_about_it(tmp_path: Path) -> None:
    text = (
        "## AWS Lambda\n\n**Note**: Threat Protection through Remote Configuration is not "
        "supported.\n"
    )
    (claim,) = read_page(tmp_path, text).claims
    assert (claim.status.value, claim.get("deployment")) == ("not-supported", "aws-lambda")


def test_a_minimum_without_a_version_is_a_problem(tmp_path: Path) -> None:
    text = "The minimum tracer version to get all supported capabilities is y.y.\n"
    reading = read_page(tmp_path, f"{FRAMEWORKS}\n{text}")
    assert [problem.line for problem in reading.problems] == [7]


def test_a_row_that_ends_too_early_denies_nothing(tmp_path: Path) -> None:
    reading = read_page(tmp_path, f"{FRAMEWORKS}| Flask | 0.10 |\n")
    assert claims(reading) == ["5 django >=1.8 supported capability=threat-detection"]
    assert [problem.line for problem in reading.problems] == [6]


def test_bullets_are_read_at_any_depth(tmp_path: Path) -> None:
    bullets = "".join(f"{'  ' * depth}- Lib{depth} 1.8+\n" for depth in range(60))
    reading = read_page(tmp_path, f"### Library compatibility\n\n{bullets}")
    assert len(reading.claims) == 60


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ('{% if equals($lang, "java") %}', "{% /if %}"),
        ('{% if equals($lang, "python") %}\n{% else %}', "{% /if %}"),
        ('{% if not(equals($lang, "python")) %}', "{% /if %}"),
        ("### Java tracer", "## The rest"),
    ],
)
def test_what_is_shown_for_other_languages_is_left_out_and_said(
    tmp_path: Path, opening: str, closing: str
) -> None:
    other = FRAMEWORKS.replace("Django", "Spring").replace("###", "####")
    reading = read_page(tmp_path, f"{opening}\n\n{other}\n{closing}\n\n{FRAMEWORKS}")
    assert [claim.subject for claim in reading.claims] == ["django"]
    assert ["other tracers" in n.message or "java" in n.message for n in reading.notices] == [True]


def test_what_is_shown_for_python_is_read(tmp_path: Path) -> None:
    page = f'{{% if equals($lang, "python") %}}\n\n{FRAMEWORKS}\n{{% /if %}}\n'
    assert [claim.subject for claim in read_page(tmp_path, page).claims] == ["django"]


@pytest.mark.parametrize(
    "text",
    [
        FRAMEWORKS + "\n" + "{{< " * 20_000,
        FRAMEWORKS + "\n" + "{% " * 20_000,
        FRAMEWORKS + "\n" + "<del>" * 20_000,
        FRAMEWORKS + "\n" + "<!-- " * 20_000,
        FRAMEWORKS + "| Flask | 0.10 | yes |\n" * 4_000,
        "### Supported frameworks\n\n" + "- Django 1.8+\n" * 10_000,
    ],
    ids=["shortcodes", "tags", "struck-out", "comments", "rows", "bullets"],
)
def test_no_page_takes_time_out_of_proportion(tmp_path: Path, text: str) -> None:
    started = time.process_time()
    read_page(tmp_path, text)
    assert time.process_time() - started < 20


def test_a_problem_names_the_column_of_what_it_quotes(tmp_path: Path) -> None:
    (problem,) = read_page(tmp_path, f"{FRAMEWORKS}| Flask | 0.10 | `mauve` |\n").problems
    assert (problem.line, problem.column) == (6, 18)
    assert ":6:18: " in str(problem)


def test_a_page_of_nothing_but_a_front_matter_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError):
        read_page(tmp_path, "---\n---\n")
