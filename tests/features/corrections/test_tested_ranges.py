"""Promised ranges corrected to what the vendor's own tests cover."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import jsonschema
import pytest
from helpers.corrections_fixture import diff_of

from matrix.__main__ import main
from matrix.features.audit.vendor_tests import compare_with_tests
from matrix.features.corrections.page import read_pages
from matrix.features.corrections.suggest import Suggestion, suggest_tested
from matrix.probes.integrations import load_integrations
from matrix.system.paths import data_dir


def registry(**libraries: Mapping[str, list[str]]) -> str:
    return json.dumps(
        [
            {
                "dependency": name.replace("_", "-"),
                "integration": name,
                "auto-instrumented": name != "kombu",
                "python_versions": {
                    python: {
                        "minimum_package_version": versions[0],
                        "maximum_package_version": versions[-1],
                        "tested_versions": versions,
                    }
                    for python, versions in pythons.items()
                },
            }
            for name, pythons in libraries.items()
        ],
        indent=1,
    )


TESTS = registry(
    redis={"3.9": ["3.5.3", "6.4.0"], "3.14": ["7.1.0"]},
    aiopg={"3.9": ["1.2.0", "1.4.0"]},
    rq={"3.9": ["1.8.1", "2.0.0"]},
    kombu={"3.9": ["4.6.11", "5.6.2"]},
    django={"3.9": ["2.2.28", "4.2.30"]},
)


def suggested(folder: Path, page: str, tests: str = TESTS) -> Suggestion:
    (folder / "page.md").write_text(page, encoding="utf-8")
    (folder / "registry.json").write_text(tests, encoding="utf-8")
    reading, pages = read_pages([folder / "page.md", folder / "registry.json"])
    report = compare_with_tests(reading.claims, reading.tested, load_integrations())
    (suggestion,) = suggest_tested({"page": pages["page"]}, report.rows)
    assert suggestion.error == ""
    return suggestion


def added(suggestion: Suggestion) -> list[str]:
    lines = diff_of(suggestion).decode().splitlines()[2:]
    return [line[1:] for line in lines if line.startswith("+")]


def table(*rows: str) -> str:
    head = "### Libraries\n\n| Library | Versions | Automatic |\n|---|---|---|\n"
    return head + "".join(f"{row}\n" for row in rows)


@pytest.mark.parametrize(
    ("row", "now"),
    [
        ("| redis | >= 2.6 | yes |", ["| redis | >= 3.5.3 | yes |"]),
        ("| redis | 2.6+ | yes |", ["| redis | 3.5.3+ | yes |"]),
        ("| redis | >= 2.6, <= 8 | yes |", ["| redis | >= 3.5.3, <= 7.1.0 | yes |"]),
        ("| redis | >= 2.6, < 8 | yes |", ["| redis | >= 3.5.3, < 8 | yes |"]),
        ("| redis | Fully Supported | yes |", ["| redis | >= 3.5.3 | yes |"]),
        ("| redis | < 7 | yes |", ["| redis | >= 3.5.3, < 7 | yes |"]),
        ("| redis | >= 3.5.3 | yes |", []),
        ("| aiopg | >= 0.12.0, <= 0.16 | yes |", ["| aiopg | >= 1.2.0, <= 1.4.0 | yes |"]),
        ("| redis | 2.6, >= 3.5.3 | yes |", ["| redis | >= 3.5.3 | yes |"]),
        ("| kombu | >= 4.0 | yes |", ["| kombu | >= 4.6.11 | no |"]),
        ("| rq | >= 1.8.1 | no |", ["| rq | >= 1.8.1 | yes |"]),
    ],
)
def test_a_promise_becomes_what_is_tested_of_it(tmp_path: Path, row: str, now: list[str]) -> None:
    other = "| molten | >= 0.7 | no |"
    assert added(suggested(tmp_path, table(row, other))) == now


def test_nothing_is_left_untested_afterwards(tmp_path: Path) -> None:
    page = table("| redis | >= 2.6 | yes |", "| kombu | Fully Supported | yes |")
    data = suggested(tmp_path, page).data.decode()
    assert added(suggested(tmp_path, data)) == []


def test_a_change_names_its_entries_and_what_it_cannot_say(tmp_path: Path) -> None:
    (change,) = suggested(tmp_path, table("| redis | >= 2.6 | yes |")).changes
    assert change.caveat == (
        "Tested: 3.5.3 to 6.4.0 on CPython 3.9; 7.1.0 on CPython 3.14."
        " The range has no end, as before: what comes after these is not tested."
    )
    assert [(one.outcome, one.document, one.evidence) for one in change.grounds] == [
        ("tested", "registry", "tested 3.5.3 to 6.4.0 on CPython 3.9."),
        ("tested", "registry", "tested 7.1.0 to 7.1.0 on CPython 3.14."),
    ]


def test_a_library_that_nobody_tests_is_left_with_the_reason(tmp_path: Path) -> None:
    suggestion = suggested(tmp_path, table("| molten | >= 0.7 | yes |"))
    (claim,) = suggestion.unchanged
    assert (suggestion.changes, claim.line, claim.refuted) == ((), 5, False)
    assert claim.reason == "the registry has no release of it: remove the row, or have it tested"


def test_bullets_and_lists_of_series(tmp_path: Path) -> None:
    assert added(suggested(tmp_path, "## Supported frameworks\n\n- Django 2.0+\n")) == [
        "- Django 2.2.28+"
    ]
    frameworks = "| Framework | Versions | Threat Detection |\n|---|---|---|\n"
    page = f"## Supported frameworks\n\n{frameworks}| Django | 1.11, 4.2 | Yes |\n"
    assert added(suggested(tmp_path, page)) == ["| Django | == 4.2.* | Yes |"]


def test_the_command_writes_the_diff_of_the_page_and_of_its_partial(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("parts").mkdir()
    Path("parts/libraries.md").write_text("| Library | Versions |\n|---|---|\n| rq | 1.0+ |\n")
    page = '## Libraries\n\n- redis 2.6+\n\n{{< partial name="libraries.md" >}}\n'
    Path("page.md").write_text(page, encoding="utf-8")
    Path("registry.json").write_text(TESTS, encoding="utf-8")
    arguments = ["suggest", "page.md", "registry.json", "--partials", "parts", "--to", "tested"]
    assert main([*arguments, "--json", "why.json", "--summary", "why.md"]) == 0
    out, err = capfd.readouterr()
    assert "--- page.md" in out
    assert "+- redis 3.5.3+" in out
    assert "--- parts/libraries.md" in out
    assert "+| rq | 1.8.1+ |" in out
    assert "2 changes, from the vendor's tests in registry" in err
    data = json.loads(Path("why.json").read_text(encoding="utf-8"))
    schema = json.loads((data_dir() / "schemas" / "suggest.schema.json").read_text("utf-8"))
    jsonschema.validate(data, schema)
    assert "Range that the vendor tests" in Path("why.md").read_text(encoding="utf-8")


def test_the_command_needs_a_registry_and_no_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.md"
    path.write_text(table("| redis | >= 2.6 | yes |"), encoding="utf-8")
    assert main(["suggest", str(path), "--to", "tested"]) == 2
    assert "needs the tracer's registry" in capsys.readouterr().err
    assert main(["suggest", str(path), "--to", "tested", "--earlier"]) == 2
    assert "reads no verdicts" in capsys.readouterr().err
