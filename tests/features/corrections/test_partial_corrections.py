"""Corrections of rows that a page includes: they are made in the partial's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.corrections_fixture import decided, diff_of

from matrix.features.corrections.page import read_pages
from matrix.features.corrections.suggest import Suggestion, changed_claims

PAGE = """## Releases

The library supports the following runtimes:

{{< partial name="python/runtimes.html" >}}

## Supported frameworks

- Django 2.0+

{{< partial name="python/nowhere.html" >}}
"""
HTML = """<table>
  <thead>
    <tr>
      <th>OS</th>
      <th>CPU</th>
      <th>Runtime</th>
      <th>Runtime version</th>
      <th>Supported ddtrace versions</th>
    </tr>
  </thead>
  <tbody>
    <tr>
      <td>Linux</td>
      <td>x86-64, AArch64</td>
      <td>CPython</td>
      <td>3.8-3.11</td>
      <td>
        <code>>=3, <4</code>
      </td>
    </tr>
    <tr>
      <td>Windows</td><td>64bit</td><td>CPython</td><td>2.7, 3.5</td><td><code><2</code></td>
    </tr>
  </tbody>
</table>
"""
PIPES = """| OS | CPU | Runtime | Runtime version | Supported ddtrace versions |
|---|---|---|---|---|
| Linux | x86-64, AArch64 | CPython | 3.8-3.11 | `>=3, <4` |
| Windows | 64bit | CPython | 2.7, 3.5 | `<2` |
"""


def written(folder: Path, partial: str, **pages: str) -> list[Path]:
    file = folder / "partials" / "python" / "runtimes.html"
    file.parent.mkdir(parents=True)
    file.write_text(partial, encoding="utf-8")
    for name, text in (pages or {"page": PAGE}).items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return [folder / f"{name}.md" for name in pages or ["page"]]


def changed_lines(suggestion: Suggestion) -> list[str]:
    lines = diff_of(suggestion).decode().splitlines()[2:]
    return [line[0] + line[1:].strip() for line in lines if line[0] in "+-"]


def by_page(suggestions: tuple[Suggestion, ...]) -> dict[str, Suggestion]:
    return {suggestion.page.name: suggestion for suggestion in suggestions}


@pytest.mark.parametrize(
    ("partial", "expected"),
    [
        (HTML, ["-<td>3.8-3.11</td>", "+<td>3.8, 3.10-3.11</td>"]),
        (
            PIPES,
            [
                "-| Linux | x86-64, AArch64 | CPython | 3.8-3.11 | `>=3, <4` |",
                "+| Linux | x86-64, AArch64 | CPython | 3.8, 3.10-3.11 | `>=3, <4` |",
            ],
        ),
    ],
)
def test_a_row_of_a_partial_is_corrected_in_its_own_file(
    tmp_path: Path, partial: str, expected: list[str]
) -> None:
    paths = written(tmp_path, partial)
    world = decided(paths, "/3.9", partials=tmp_path / "partials")
    suggestions = by_page(world.suggest())
    assert list(suggestions) == ["page", "python/runtimes.html"]
    of_partial = suggestions["python/runtimes.html"]
    assert (of_partial.error, of_partial.unchanged) == ("", ())
    assert changed_lines(of_partial) == expected
    assert of_partial.page.path == tmp_path / "partials" / "python" / "runtimes.html"
    assert (suggestions["page"].changes, suggestions["page"].error) == ((), "")
    claims = changed_claims(tuple(suggestions.values()))
    assert not [claim.id for claim in claims if "/3.9" in claim.id]
    assert {claim.document for claim in claims} == {"page"}
    assert [claim.id for claim in claims if "/3.10" in claim.id]


def test_a_row_of_html_is_not_deleted_but_told(tmp_path: Path) -> None:
    paths = written(tmp_path, HTML)
    world = decided(paths, "windows", partials=tmp_path / "partials")
    suggestion = by_page(world.suggest())["python/runtimes.html"]
    assert (suggestion.changes, suggestion.error) == ((), "")
    (claim,) = suggestion.unchanged
    line = HTML[: HTML.index("Windows")].count("\n")
    assert (claim.refuted, claim.document, claim.line) == (True, "python/runtimes.html", line)


def test_a_partial_of_several_pages_is_changed_once(tmp_path: Path) -> None:
    paths = written(tmp_path, HTML, one=PAGE, two=PAGE)
    world = decided(paths, "/3.9", partials=tmp_path / "partials")
    suggestions = world.suggest()
    assert [suggestion.page.name for suggestion in suggestions if suggestion.changes] == [
        "python/runtimes.html"
    ]
    assert [suggestion.error for suggestion in suggestions] == ["", "", ""]
    claims = changed_claims(suggestions)
    assert {claim.document for claim in claims} == {"one", "two"}
    assert not [claim.id for claim in claims if "/3.9" in claim.id]


def test_a_page_reads_its_partials_again_as_before(tmp_path: Path) -> None:
    paths = written(tmp_path, HTML)
    world = decided(paths, "framework", partials=tmp_path / "partials")
    assert [suggestion.error for suggestion in world.suggest()] == ["", ""]
    alone = decided(paths, "framework")
    assert [suggestion.error for suggestion in alone.suggest()] == [""]


def test_the_places_of_a_partials_claims(tmp_path: Path) -> None:
    paths = written(tmp_path, HTML)
    _, pages = read_pages(paths, lenient=True, partials=tmp_path / "partials")
    page, partial = pages["page"], pages["python/runtimes.html"]
    assert {claim.line for claim in partial.as_read} == {5}
    assert {claim.line for claim in partial.claims} == {12, 21}
    assert {claim.id for claim in partial.claims} < {claim.id for claim in page.joined}
    assert partial.joined == ()
    assert partial.cell(12, 3) == "3.8-3.11"
    assert partial.cell(12, 4) == "<code>>=3, <4</code>"
