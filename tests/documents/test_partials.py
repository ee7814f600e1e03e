"""Partials: tables in files of their own, joined with the page that includes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.claim_lines import claim_line

from matrix.documents.document import ReadDocument, read_document
from matrix.errors import UnreadableInputError

RUNTIMES = """\
<table>
  <thead>
    <tr><th>OS</th><th>CPU</th><th>Runtime</th><th>Runtime version</th><th>ddtrace</th></tr>
  </thead>
  <tr>
    <td>Linux</td><td>AArch64</td><td>CPython</td><td>3.8+</td>
    <td><code>>=3, <4</code></td>
  </tr>
</table>
"""
PAGE = """\
## Language and framework compatibility

### Supported Python versions

{{< partial name="trace/python/runtimes.html" >}}

### Supported frameworks

| Framework | Versions | Threat Detection supported? |
|---|---|---|
| Django | 2.2 | yes |
"""


def read(folder: Path, page: str, files: dict[str, str]) -> ReadDocument:
    for name, text in files.items():
        path = folder / "partials" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (folder / "page.md").write_text(page, encoding="utf-8")
    return read_document(folder / "page.md", partials=folder / "partials")


@pytest.mark.parametrize(
    "name", ["trace/python/runtimes.html", "layouts/trace/python/runtimes.html", "runtimes.html"]
)
def test_a_partial_is_found_by_its_path_or_its_name(tmp_path: Path, name: str) -> None:
    reading = read(tmp_path, PAGE, {name: RUNTIMES, "other.html": "<p>Hello</p>"})
    assert reading.problems == reading.notices == ()
    runtime, framework = reading.claims
    assert claim_line(runtime) == (
        "5 cpython >=3,<4 supported os=linux cpu=aarch64 python=>=3.8"
        " partial=trace/python/runtimes.html:5"
    )
    assert runtime.heading == "Supported Python versions"
    assert runtime.document == framework.document == "page"
    assert (framework.line, framework.sha256) == (11, runtime.sha256)


def test_the_path_decides_between_files_of_one_name(tmp_path: Path) -> None:
    files = {"trace/python/runtimes.html": RUNTIMES, "trace/java/runtimes.html": "<p>Java</p>"}
    assert len(read(tmp_path, PAGE, files).claims) == 2


def test_several_files_of_the_name_are_a_problem(tmp_path: Path) -> None:
    files = {"a/runtimes.html": RUNTIMES, "b/runtimes.html": RUNTIMES}
    (problem,) = read(tmp_path, PAGE, files).problems
    assert str(problem) == (
        "page:5: several files for the partial 'trace/python/runtimes.html':"
        " a/runtimes.html, b/runtimes.html"
    )


def test_a_partial_without_a_file_is_noticed(tmp_path: Path) -> None:
    (notice,) = read(tmp_path, PAGE, {"other.html": "<p>Hello</p>"}).notices
    assert str(notice) == "page:5: no file for the partial 'trace/python/runtimes.html'"


def test_a_problem_names_the_line_of_the_partial(tmp_path: Path) -> None:
    broken = RUNTIMES.replace("AArch64", "Abacus")
    (problem,) = read(tmp_path, PAGE, {"runtimes.html": broken}).problems
    assert str(problem) == "trace/python/runtimes.html:5: unknown processor 'Abacus'"


def test_a_partial_of_another_tracer_is_not_read(tmp_path: Path) -> None:
    page = PAGE.replace("### Supported Python versions", "### Java")
    reading = read(tmp_path, page, {"runtimes.html": RUNTIMES})
    assert [claim.subject for claim in reading.claims] == ["django"]


def test_rows_of_a_partial_are_under_the_headings_of_the_page(tmp_path: Path) -> None:
    page = "## AWS Lambda\n\n{{< partial file='notes.md' >}}\n\n## Docker\n"
    text = "**Note**: Threat Protection through Remote Configuration is not supported.\n"
    (claim,) = read(tmp_path, page, {"notes.md": text}).claims
    assert (claim.heading, claim.get("deployment")) == ("AWS Lambda", "aws-lambda")


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(PAGE, encoding="utf-8")
    with pytest.raises(UnreadableInputError, match="no folder of partials"):
        read_document(tmp_path / "page.md", partials=tmp_path / "absent")
