"""`python -m matrix plan`, as a user types it, with a cached index that is made by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers.offline_index import offline

from matrix.__main__ import main
from matrix.errors import ExitCode
from matrix.model.cell import Cell
from matrix.planning import planner
from matrix.system.paths import data_dir, project_root

__all__ = ["offline"]

PAGE = """\
---
title: Python Compatibility Requirements
---
## ASM capabilities support

| ASM capability   | Minimum Python tracer version |
| ---------------- | ----------------------------- |
| Threat Detection | 1.9.0                         |
"""


def plan_json(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["plan", "--offline", "--json", "-", *options]) == ExitCode.OK
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    return data


@pytest.mark.usefixtures("offline")
def test_the_json_is_what_its_schema_says(capsys: pytest.CaptureFixture[str]) -> None:
    schema = json.loads((data_dir() / "schemas" / "plan.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for profile in ("smoke", "documented"):
        data = plan_json(capsys, "--profile", profile)
        validator.validate(data)
        assert data["totals"]["cells"] == len(data["cells"]) > 0
        counts = {claim["id"]: sum(claim["left_out"].values()) for claim in data["claims"]}
        assert sum(counts.values()) == len(data["left_out"])
        assert all(claim["cells"] or counts[claim["id"]] for claim in data["claims"])


@pytest.mark.usefixtures("offline")
def test_the_same_plan_twice_is_the_same_text(capsys: pytest.CaptureFixture[str]) -> None:
    first = plan_json(capsys, "--profile", "exhaustive")
    again = plan_json(capsys, "--profile", "exhaustive")
    assert json.dumps(first) == json.dumps(again)


@pytest.mark.usefixtures("offline")
def test_every_claim_is_shown_with_its_counts(capsys: pytest.CaptureFixture[str]) -> None:
    data = plan_json(capsys)
    assert main(["plan", "--offline"]) == ExitCode.OK
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0]: line.split()[1] for line in lines if "/" in line.split("  ")[0]}
    for claim in data["claims"]:
        assert shown[claim["id"]] == str(claim["cells"])
    assert any("platform-not-here" in line for line in lines)
    assert any(line.startswith("missing here    CPython 3.11, for ") for line in lines)
    assert not any("CPython 2.7, for" in line for line in lines)
    assert any("2024-12-31 23:00 UTC" in line for line in lines)


@pytest.mark.usefixtures("offline")
def test_cells_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--offline", "--cells", "--ddtrace", "1.9.0"]) == ExitCode.OK
    ids = capsys.readouterr().out.split()
    assert ids
    assert {Cell.parse(each).ddtrace for each in ids} == {"1.9.0", "1.8.3", "1.20.19"}


@pytest.mark.usefixtures("offline")
def test_a_date_is_in_the_ids(capsys: pytest.CaptureFixture[str]) -> None:
    data = plan_json(capsys, "--as-of", "2024-06-30", "--profile", "smoke")
    assert {cell["as_of"] for cell in data["cells"]} == {"2024-06-30"}
    assert all(cell["id"].endswith("-asof20240630") for cell in data["cells"])


def test_a_page_of_ones_own(offline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = offline / "own.md"
    page.write_text(PAGE, encoding="utf-8")
    data = plan_json(capsys, str(page))
    assert [claim["subject"] for claim in data["claims"]] == ["threat-detection"]
    assert {cell["framework"] for cell in data["cells"]} == {"django", "flask"}


REGISTRY = """\
[{"dependency": "django", "integration": "django", "auto-instrumented": true, "python_versions": {
    "3.9": {"minimum_package_version": "3.2.18", "maximum_package_version": "4.2",
            "tested_versions": ["3.2.18", "4.1.7", "4.2"]}}},
 {"dependency": "letterpress", "integration": "press", "python_versions": {
    "3.9": {"minimum_package_version": "1", "maximum_package_version": "1",
            "tested_versions": ["1"]}}}]
"""


def test_what_the_vendor_tests(offline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    registry = offline / "registry.json"
    registry.write_text(REGISTRY, encoding="utf-8")
    options = (str(registry), "--tested", "--ddtrace", "2.*")
    data = plan_json(capsys, *options)
    assert {claim["id"]: claim["cells"] for claim in data["claims"]} == {
        "registry/integration/django/django/3.9/3.2.18": 1,
        "registry/integration/django/django/3.9/4.1.7": 1,
        "registry/integration/django/django/3.9/4.2": 1,
        "registry/integration/letterpress/press/3.9/1": 0,
    }
    assert {cell["ddtrace"] for cell in data["cells"]} == {"2.21.12"}
    assert main(["plan", "--offline", *options]) == ExitCode.OK
    assert "no experiment: write apps/libraries/letterpress.py" in capsys.readouterr().out


def test_a_document_without_tested_releases_has_nothing_to_test(
    offline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, registry = offline / "own.md", offline / "registry.json"
    page.write_text(PAGE, encoding="utf-8")
    registry.write_text(REGISTRY, encoding="utf-8")
    for documents in ([str(page)], [str(registry), str(page)]):
        assert main(["plan", "--offline", "--tested", *documents]) == ExitCode.USAGE
        message = capsys.readouterr().err
        assert "no tested releases in own, which --tested asks for" in message
        assert "supported_versions.json" in message
    assert main(["plan", "--offline", "--tested"]) == ExitCode.USAGE
    assert "needs a document" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--framework", "djagno"], ExitCode.NOTHING_SELECTED, "'django'"),
        (["--profile", "smok"], ExitCode.USAGE, "'smoke'"),
        (["nowhere.md"], ExitCode.USAGE, "nowhere.md"),
    ],
)
@pytest.mark.usefixtures("offline")
def test_mistakes_are_errors_with_the_nearest_name(
    options: list[str], code: ExitCode, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "--offline", *options]) == code
    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("offline")
def test_a_date_that_is_none_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["plan", "--as-of", "yesterday"])
    assert caught.value.code == ExitCode.USAGE
    assert "yesterday" in capsys.readouterr().err


def test_an_unknown_index_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path))
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert main(["plan", str(page), "--offline"]) == ExitCode.INDEX_UNAVAILABLE
    assert "without --offline" in capsys.readouterr().err


@pytest.mark.usefixtures("offline")
def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "missing" / "plan.json"
    assert main(["plan", "--offline", "--json", str(path)]) == ExitCode.STORAGE
    assert str(path) in capsys.readouterr().err


@pytest.mark.usefixtures("offline")
def test_a_warm_plan_starts_without_what_it_does_not_need() -> None:
    modules = ("matrix.planning", "requests", "markdown_it", "rich", "msgpack", "docker")
    code = (
        "import sys; from matrix.__main__ import main; main(['plan', '--offline', '--cells']);"
        f"print(*[name for name in {modules!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project_root(),
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr.splitlines()[-1] == "matrix.planning"


@pytest.mark.index
def test_the_plan_of_the_facts_on_the_real_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path))
    monkeypatch.setattr(planner, "host_target", lambda: "linux_x86_64")
    assert main(["plan", "--cells"]) == ExitCode.OK
    ids = capsys.readouterr().out.split()
    # A third of them for the sample apps, two for the libraries' rows.
    assert 500 <= len(ids) <= 1500
    assert not any(each.endswith("ddtrace1.9.1") for each in ids), "yanked"
    assert main(["plan", "--cells", "--offline"]) == ExitCode.OK
    assert capsys.readouterr().out.split() == ids
