"""Edge cases of cells, sections and notes for each kind of table."""

# ruff: noqa: RUF001 - brackets of both widths stand in real pages

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.claim_lines import claim_line, read_page

from matrix.errors import UnreadableInputError

HEADERS = {
    "capability": "ASM capability | Minimum Python tracer version",
    "deployment": "Type | Threat Detection",
    "branch": "Release | Support level",
    "runtime": "OS | CPU | Runtime | Runtime version | Supported ddtrace versions",
    "framework": "Framework | Versions | Threat Detection",
    "integration": "Library | Supported Version | Automatic",
    "authentication": "Framework | Framework Versions",
}
GOOD = {
    "capability": "SCA | 1.5",
    "deployment": "Docker | yes",
    "branch": "<2 | Maintenance",
    "runtime": "Linux | x86-64 | CPython | 3.7 | <2",
    "framework": "Django | 1.8 | yes",
    "integration": "rq | 1.8 | yes",
    "authentication": "Django | 4.0",
}


def table(kind: str, *rows: str) -> str:
    """Return a table of one kind under a heading of its own; the first row is on line 5."""
    title = "User authentication frameworks" if kind == "authentication" else "A page"
    lines = [f"## {title}", "", f"| {HEADERS[kind]} |"]
    lines.append("|" + "---|" * (HEADERS[kind].count("|") + 1))
    return "\n".join([*lines, *(f"| {row} |" for row in rows)]) + "\n"


@pytest.mark.parametrize("kind", sorted(HEADERS))
def test_a_cell_beyond_the_last_column_is_a_problem_and_the_row_is_read(
    tmp_path: Path, kind: str
) -> None:
    reading = read_page(tmp_path, table(kind, f"{GOOD[kind]} | surplus"))
    assert [claim.kind.value for claim in reading.claims] == [kind]
    assert ["surplus" in problem.message for problem in reading.problems] == [True]


@pytest.mark.parametrize(
    ("kind", "row", "word"),
    [
        ("capability", "SCA | mauve", "mauve"),
        ("capability", "Threat Mauvection | 1.5", "Threat Mauvection"),
        ("capability", "SCA for mauve things | 1.5", "mauve"),
        ("capability", "SCA |", "no version and no status for 'SCA'"),
        ("deployment", "Mauve | yes", "Mauve"),
        ("deployment", "Docker | mauve", "mauve"),
        ("deployment", "Docker | \N{CHECK MARK} \N{BALLOT X}", "neither"),
        ("branch", "mauve | Maintenance", "mauve"),
        ("branch", "<2 | mauve", "mauve"),
        ("branch", "<2 | Maintenance 1.2", "Maintenance 1.2"),
        ("branch", " | Maintenance", "no release branch"),
        ("runtime", "Linux | mauve | CPython | 3.7 | <2", "mauve"),
        ("runtime", "Linux | x86-64 | Mauve | 3.7 | <2", "Mauve"),
        ("runtime", "Linux | x86-64 | CPython | mauve | <2", "mauve"),
        ("runtime", "Linux | x86-64 | CPython | 3.7 | mauve", "mauve"),
        ("runtime", "Linux | x86-64 | CPython | 3.7 |", "no version of ddtrace"),
        ("framework", "Django | mauve | yes", "mauve"),
        ("framework", "Django | 1.8 | mauve", "mauve"),
        ("integration", "rq | 1.8 | mauve", "mauve"),
        ("integration", "rq | 1.8 | yes, mauve", "mauve"),
        ("integration", "rq | 1.8 | yes with Python", "yes with Python"),
        ("authentication", "Django | mauve", "mauve"),
        ("authentication", "Django |", "without a name or a version"),
    ],
)
def test_an_invalid_cell_is_a_problem_and_the_next_row_is_read(
    tmp_path: Path, kind: str, row: str, word: str
) -> None:
    reading = read_page(tmp_path, table(kind, row, GOOD[kind]))
    assert [problem.line for problem in reading.problems] == [5]
    assert word in reading.problems[0].message
    assert [claim.line for claim in reading.claims] == [6]


def test_a_mark_with_tracer_versions_and_a_date(tmp_path: Path) -> None:
    text = table("framework", "Django | 1.8 | yes (>=2.1)", "Flask | 1.0 | Preview (until 2027-01)")
    assert [claim_line(claim) for claim in read_page(tmp_path, text).claims] == [
        "5 django >=1.8 supported capability=threat-detection note=ddtrace >=2.1",
        "6 flask >=1.0 preview capability=threat-detection until=2027-01",
    ]


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        ("", "not-supported"),
        ("-", "not-supported"),
        ("N/A", "not-supported"),
        ("no", "not-supported"),
        ("❌", "not-supported"),
        (":x:", "not-supported"),
        ('<i class="icon-x"></i>', "not-supported"),
        ("✔️", "supported"),
        (":white_check_mark:", "supported"),
        ("**Yes**", "supported"),
        ("{{< X >}}", "supported"),
        ("{% x %}", "supported"),
        ("Limited availability", "preview"),
        ("Private Beta", "private-beta"),
    ],
)
def test_marks_for_yes_and_no(tmp_path: Path, cell: str, status: str) -> None:
    (claim,) = read_page(tmp_path, table("deployment", f"Docker | {cell}")).claims
    assert claim.status.value == status


@pytest.mark.parametrize(
    ("cell", "scope"),
    [
        ("> Python 3.7 yes", "automatic=yes automatic_python=>3.7"),
        ("yes (Python >= 3.7)", "automatic=yes automatic_python=>=3.7"),
        ("Python 3.7+: yes", "automatic=yes automatic_python=>=3.7"),
        ("✓", "automatic=yes"),
        ("No", "automatic=no"),
    ],
)
def test_automatic_with_a_condition(tmp_path: Path, cell: str, scope: str) -> None:
    (claim,) = read_page(
        tmp_path, table("integration", f"asyncio | Fully supported | {cell}")
    ).claims
    assert claim_line(claim) == f"5 asyncio supported {scope}"


def test_names_with_links_roles_and_remarks(tmp_path: Path) -> None:
    rows = (
        "[Jinja2](http://a) [aiohttp-jinja2](http://b) | 1.5 | yes",
        "aiohttp（server）| 2.0 | yes",
        "Flask Cache (fork) | 0.12 | no",
        "[MySQL-python] [1] | 1.2 | no",
    )
    assert [
        claim_line(claim) for claim in read_page(tmp_path, table("integration", *rows)).claims
    ] == [
        "5 aiohttp-jinja2 >=1.5 supported backend=jinja2 automatic=yes",
        "6 aiohttp >=2.0 supported role=server automatic=yes",
        "7 flask-cache >=0.12 supported note=fork automatic=no",
        "8 mysql-python >=1.2 supported automatic=no",
    ]


def test_sections_of_other_tracers_end_where_the_next_begins(tmp_path: Path) -> None:
    text = (
        "## Java\n\n" + table("branch", "<1 | Maintenance").replace("## A page\n", "")
        + "\n## Python\n\n" + table("branch", "<2 | Maintenance").replace("## A page\n", "")
    )  # fmt: skip
    reading = read_page(tmp_path, text)
    assert [claim.specifier for claim in reading.claims] == ["<2"]
    assert [notice.line for notice in reading.notices] == [1]


@pytest.mark.parametrize(
    ("head", "readable"),
    [
        ("---\ntitle: Python and Java\n---\n", True),
        ("---\ntitle: Ruby\n---\n", False),
        ("---\ncode_lang: python\ntitle: Ruby\n---\n", True),
        ("# .NET Compatibility\n", False),
        ("# Some compatibility\n", True),
    ],
)
def test_pages_about_other_tracers_are_rejected(tmp_path: Path, head: str, readable: bool) -> None:
    text = head + table("branch", "<1 | Maintenance")
    if readable:
        assert len(read_page(tmp_path, text).claims) == 1
    else:
        with pytest.raises(UnreadableInputError, match="tracer"):
            read_page(tmp_path, text)


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_column_about_another_tracer_is_a_problem(tmp_path: Path, language: str) -> None:
    header = {"en": "Minimum Java tracer version", "ko": "최소 Java 트레이서 버전"}[language]
    text = f"| Feature | {header} |\n|---|---|\n| SCA | 1.5 |\n"
    reading = read_page(tmp_path, text, language)
    assert reading.claims == ()
    assert header in reading.problems[0].message


@pytest.mark.parametrize(
    ("language", "header"),
    [
        ("de", "Erforderliche Mindestversion des Tracers für Python"),
        ("es", "Versión mínima necesaria del rastreador"),
        ("fr", "Version minimale requise du traceur"),
        ("ja", "必要な Python トレーサーの最小バージョン"),
        ("ko", "필요한 최소 Python 트레이서"),
        ("pt", "Versão mínima necessária do rastreador"),
    ],
)
def test_headers_may_say_more_than_the_vocabulary(
    tmp_path: Path, language: str, header: str
) -> None:
    text = f"| Feature | {header} |\n|---|---|\n| SCA | 1.5 |\n"
    (claim,) = read_page(tmp_path, text, language).claims
    assert claim_line(claim) == "3 sca >=1.5 supported"


def test_two_notes_in_one_bullet_have_lines_and_denials_of_their_own(tmp_path: Path) -> None:
    text = (
        "## Supported frameworks\n\n"
        "- Software Composition Analysis is supported on all frameworks.\n"
        "  Query strings are not supported for Flask.\n"
    )
    assert [claim_line(claim) for claim in read_page(tmp_path, text).claims] == [
        "3 sca-all-frameworks supported capability=sca",
        "4 flask-query-string not-supported",
    ]


def test_the_minimum_for_all_capabilities_is_a_note_with_a_version(tmp_path: Path) -> None:
    text = "The minimum tracer version to get all supported ASM capabilities is 1.9.3.\n"
    (claim,) = read_page(tmp_path, text).claims
    assert claim_line(claim) == "1 all-capabilities-minimum >=1.9.3 supported"


def test_a_paragraph_that_names_the_databases_is_the_note_on_the_api(tmp_path: Path) -> None:
    text = "## Data stores\n\nGood with MariaDB, MySQL and, of course, SQLite.\n"
    (claim,) = read_page(tmp_path, text).claims
    assert claim_line(claim) == "3 db-api supported note=mariadb, mysql, sqlite"
