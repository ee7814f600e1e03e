"""`report`: which files it writes, where, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.record_fixture import record_json, record_store

from matrix.__main__ import main
from matrix.errors import ExitCode


@pytest.fixture(autouse=True)
def _results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def test_without_options_it_is_a_page_among_the_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_store(tmp_path, 2)
    assert main(["report"]) == ExitCode.OK
    path = tmp_path / "report.html"
    assert capsys.readouterr().out.splitlines() == [str(path)]
    text = path.read_text(encoding="utf-8")
    assert "Since the run before" in text
    assert "</html>" in text


def test_a_step_of_github_gets_its_summary_added_to_what_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_store(tmp_path, 1)
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    main(["report"])
    added = summary.read_text()
    assert added.startswith("before\n## ")
    main(["report", "--html", str(tmp_path / "page.html")])
    assert summary.read_text() == added, "only where nothing is asked for"


def test_each_option_writes_its_file_and_no_other(tmp_path: Path) -> None:
    record_store(tmp_path, 1)
    names = {"junit": "j.xml", "json": "v.json", "markdown": "c.md", "badge": "b.json"}
    options = [word for name, file in names.items() for word in (f"--{name}", str(tmp_path / file))]
    assert main(["report", "latest", *options]) == ExitCode.OK
    assert not (tmp_path / "report.html").exists()
    assert (tmp_path / "j.xml").read_text().startswith("<?xml")
    assert json.loads((tmp_path / "v.json").read_text())["verdicts"] == record_json()["verdicts"]
    assert (tmp_path / "c.md").read_text().startswith("## ")
    assert json.loads((tmp_path / "b.json").read_text())["label"] == "promises"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no file 'nowhere'"),
        (["--html", "there/is/none.html"], "there is no folder"),
        (["--since", "never"], "no file 'never'"),
        (["--minimum", "none.json"], "cannot read none.json"),
        (["--minimum", "none.json", "--badge", "-"], "--minimum is for the page"),
        (["--audit", "none.json"], "cannot read none.json"),
        (["--audit", "none.json", "--badge", "-"], "--audit is for the page"),
    ],
)
def test_what_cannot_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    record_store(tmp_path, 1)
    assert main(["report", *words]) == ExitCode.USAGE
    assert message in capsys.readouterr().err


def test_without_a_run_there_is_no_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report"]) == ExitCode.USAGE
    assert "no run is recorded" in capsys.readouterr().err


def test_a_page_without_captures_says_so(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(record_json()), encoding="utf-8")
    page = tmp_path / "page.html"
    assert main(["report", str(path), "--html", str(page)]) == ExitCode.OK
    assert "asked hold" in page.read_text(encoding="utf-8")
