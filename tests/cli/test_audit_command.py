"""The command `audit`: output, files and exit codes."""

from __future__ import annotations

import argparse
import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers.audit_pages import PAGE, changed, line_of
from helpers.planning_fixture import world

from matrix.__main__ import main
from matrix.cli.audit import add_options, run
from matrix.errors import ExitCode, IndexUnavailableError
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex
from matrix.system.paths import data_dir


@pytest.fixture(autouse=True)
def known_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cached index of a small world; the index itself cannot be reached."""
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    path = CachedIndex(tmp_path / "cache").path("ddtrace")
    path.parent.mkdir(parents=True)
    path.write_text(dump_project(world().project("ddtrace")), encoding="utf-8")
    return path


def written(folder: Path, **pages: str) -> list[str]:
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, encoding="utf-8")
    return [str(folder / f"{name}.md") for name in pages]


def validated(text: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(text)
    schema = data_dir() / "schemas" / "audit.schema.json"
    jsonschema.validate(data, json.loads(schema.read_text(encoding="utf-8")))
    return data


PARTS = ["--part", "documents,index", "--offline"]


def test_pages_that_agree_exit_with_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = written(tmp_path, one=PAGE, two=PAGE)
    assert main(["audit", *pages, *PARTS]) == 0
    captured = capsys.readouterr()
    assert "0 of them contradict a promise" in captured.out
    assert "wheel always" in captured.out
    assert "yanked, not counted: 1.9.1, 1.20.20" in captured.out


def test_a_contradiction_has_both_lines_and_exits_with_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = changed(("| `>=1.0,<2` | General Availability |", "| `>=1.0,<2` | Maintenance |"))
    assert main(["audit", *written(tmp_path, one=PAGE, two=other), *PARTS]) == 1
    out = capsys.readouterr().out
    line = line_of(PAGE, "| `>=1.0,<2`")
    assert f"one:{line}" in out
    assert f"two:{line}" in out
    assert "(likely out of date)" in out


def test_the_json_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = changed(("| Threat Protection | 1.10.0", "| Threat Protection | 2.6.0"))
    pages = written(tmp_path, one=PAGE, two=other)
    assert main(["audit", *pages, *PARTS, "--json", "-"]) == 1
    data = validated(capsys.readouterr().out)
    assert data["schema"] == "audit/1"
    kinds = {finding["kind"] for finding in data["parts"]["documents"]["findings"]}
    assert {"minimum-differs", "minimum-outside-branches"} <= kinds
    assert data["parts"]["index"]["rows"]
    target = tmp_path / "audit.json"
    assert main(["audit", *pages, *PARTS, "--json", str(target)]) == 1
    assert validated(target.read_text(encoding="utf-8")) == data


def test_findings_of_documents_are_kept_without_an_index(
    tmp_path: Path, known_index: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known_index.unlink()
    other = changed(("| Threat Protection | 1.10.0", "| Threat Protection | 1.11.0"))
    pages = written(tmp_path, one=PAGE, two=other)
    target = tmp_path / "audit.json"
    code = main(["audit", *pages, *PARTS, "--json", str(target)])
    assert code == IndexUnavailableError.exit_code
    captured = capsys.readouterr()
    assert "versions differ" in captured.out
    assert "release dates not available" in captured.out
    assert "error: no cached answer for 'ddtrace'" in captured.err
    data = validated(target.read_text(encoding="utf-8"))
    assert list(data["parts"]) == ["documents"]
    assert "ddtrace" in data["failed"]


def test_an_unusable_index_is_noted_and_the_cache_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_options(parser)
    arguments = [*written(tmp_path, one=PAGE), "--part", "index", "--refresh"]
    open_index = functools.partial(CachedIndex, wait_seconds=0.001)
    assert run(parser.parse_args(arguments), open_index=open_index) == 0
    assert "gave no usable answer for 'ddtrace'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("Just words, and nothing of the kind.\n", "no compatibility table"),
        (PAGE.replace("| Threat Protection | 1.10.0 |", "| Thread Protection | 1.10.0 |"), ":10:"),
    ],
)
def test_an_invalid_page_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    pages = written(tmp_path, good=PAGE, broken=text)
    assert main(["audit", *pages, *PARTS]) == 2
    err = capsys.readouterr().err
    assert "broken" in err
    assert message in err


def test_lenient_does_not_call_unread_lines_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = "| Threat Protection | 1.10.0 |"
    late = changed((row, f"{row}\n| API Security | 1.15.0 |"))
    typo = changed((row, f"{row}\n| APY Securitty thing | 1.15.0 |"))
    pages = written(tmp_path, late=late, typo=typo)
    assert main(["audit", *pages, "--lenient", "--part", "documents", "--offline"]) == 0
    captured = capsys.readouterr()
    assert f"typo:{line_of(typo, '| APY')}" in captured.err
    assert "capability missing" in captured.out
    assert "cannot tell" in captured.out


def test_an_unknown_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--part", "document"]) == 2
    assert "did you mean 'documents'?" in capsys.readouterr().err


def test_a_missing_folder_is_an_error_before_the_audit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = written(tmp_path, one=PAGE)
    target = tmp_path / "none" / "audit.json"
    assert main(["audit", *pages, *PARTS, "--json", str(target)]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert (captured.out, f"folder not found: {target.parent}" in captured.err) == ("", True)


def test_the_committed_facts_can_be_audited(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["audit", "--part", "documents", "--offline"]) == 1
    out = capsys.readouterr().out
    assert "support level differs: branch/>=1,<2" in out
    assert "minimum in no release branch: capability/api-security" in out


def test_the_part_about_the_vendors_tests_needs_no_index(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = "| Library | Versions | Automatic |\n|---|---|---|\n| rq | 1.0+ | no |\n"
    registry = tmp_path / "registry.csv"
    registry.write_text(
        "dependency,integration,minimum,maximum,auto-instrumented\nrq,rq,1.8.1,2.10.0,True\n",
        encoding="utf-8",
    )
    pages = written(tmp_path, one=f"### Libraries\n\n{table}")
    arguments = [*pages, str(registry), "--part", "tested", "--offline", "--json", "-"]
    assert main(["audit", *arguments]) == 1
    part = validated(capsys.readouterr().out)["parts"]["tested"]
    assert [finding["kind"] for finding in part["findings"]] == [
        "automatic-differs", "promise-partly-untested",
    ]  # fmt: skip
    assert part["rows"][0]["untested"] == ["1.0 to before 1.8.1"]
