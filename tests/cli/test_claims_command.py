"""The command `claims`: output, files and exit codes."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import jsonschema
import pytest
from helpers.claim_lines import DOCUMENTS

from matrix.__main__ import main
from matrix.cli.claims import add_options, run
from matrix.documents.facts import load_facts
from matrix.errors import ExitCode, UserError
from matrix.system.paths import data_dir

GOOD, BAD = str(DOCUMENTS / "fr.md"), str(DOCUMENTS / "misspelt.md")


def valid(text: str) -> dict[str, list[dict[str, object]]]:
    """Return the parsed JSON of a text after validating it against the schema."""
    data: dict[str, list[dict[str, object]]] = json.loads(text)
    schema = json.loads((data_dir() / "schemas" / "claims.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(data)
    return data


def test_without_documents_the_facts_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims"]) == ExitCode.OK
    out = capsys.readouterr().out
    assert f"{len(load_facts())} claims in 5 documents" in out


def test_the_list_is_by_document_and_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", GOOD]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "fr (fr): branch, 3\n" in out
    assert "    30  ddtrace  >=1.0,<2  maintenance  until=2024-01\n" in out
    assert out.endswith("31 claims in 1 document\n")


def test_a_terminal_gets_tables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "160")
    assert main(["claims", GOOD]) == ExitCode.OK
    out = capsys.readouterr().out
    assert "┏" in out
    assert "subject" in out
    assert "Maintenance" not in out.split("fr (fr): branch")[0]
    assert "until=2024-01" in out


def test_all_problems_are_listed_and_the_exit_code_is_two(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["claims", GOOD, BAD]) == ExitCode.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "9 problems in the documents" in captured.err
    assert "misspelt:8:3: unknown capability 'Threat Detecton'" in captured.err
    assert "did you mean 'threat detection'" in captured.err
    assert "hint: " in captured.err


def test_lenient_lists_the_rest_and_the_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--lenient", BAD]) == ExitCode.OK
    captured = capsys.readouterr()
    assert "1 claim in 1 document" in captured.out
    assert captured.err.count("problem: misspelt:") == 9


def test_json_on_standard_output_is_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--lenient", "--json", "-", GOOD, BAD]) == ExitCode.OK
    data = valid(capsys.readouterr().out)
    assert (len(data["claims"]), len(data["problems"])) == (32, 9)
    assert data["claims"][0]["scope"] == {}
    assert data["problems"][0]["suggestion"] == "module"


def test_json_is_written_also_where_there_are_problems(tmp_path: Path) -> None:
    file = tmp_path / "claims.json"
    assert main(["claims", "--json", str(file), BAD]) == ExitCode.USAGE
    assert len(valid(file.read_text(encoding="utf-8"))["problems"]) == 9


def test_the_facts_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--json", "-"]) == ExitCode.OK
    assert len(valid(capsys.readouterr().out)["claims"]) == len(load_facts())


def test_json_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--json", str(tmp_path / "no" / "x.json")]) == ExitCode.STORAGE
    assert "x.json" in capsys.readouterr().err


def test_notices_are_printed_and_the_exit_code_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    page = str(DOCUMENTS / "partials.md")
    assert main(["claims", "--json", "-", page]) == ExitCode.OK
    captured = capsys.readouterr()
    assert captured.err.count("note: partials:") == 2
    assert len(valid(captured.out)["notices"]) == 2


def test_folders_and_globs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("fr", "es"):
        shutil.copy(DOCUMENTS / f"{name}.md", tmp_path)
    shutil.copy(DOCUMENTS / "ko.md", tmp_path / "ko.txt")
    (tmp_path / "picture.png").write_bytes(b"\0")
    assert main(["claims", str(tmp_path)]) == ExitCode.OK
    assert "in 3 documents" in capsys.readouterr().out
    assert main(["claims", str(tmp_path / "*.md")]) == ExitCode.OK
    assert "in 2 documents" in capsys.readouterr().out


def test_folders_and_globs_without_documents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for argument in (str(tmp_path), str(tmp_path / "*.md"), str(tmp_path / "gone.md")):
        assert main(["claims", argument]) == ExitCode.USAGE
        captured = capsys.readouterr()
        assert argument in captured.err
        assert "hint: " in captured.err


def test_an_unknown_language_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["claims", "--language", "fra", GOOD]) == ExitCode.USAGE
    assert "did you mean 'fr'" in capsys.readouterr().err


def test_facts_are_made_again_from_documents(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "claims.toml"
    parser = argparse.ArgumentParser()
    add_options(parser)

    def write_facts(*documents: str) -> int:
        try:
            return run(parser.parse_args(["--write-facts", *documents]), facts=file)
        except UserError as error:
            return error.exit_code

    assert write_facts(GOOD) == ExitCode.OK
    assert len(load_facts(file)) == 31
    first = file.read_bytes()
    assert write_facts(GOOD) == ExitCode.OK
    assert file.read_bytes() == first
    assert write_facts() == ExitCode.USAGE
    assert write_facts(BAD) == ExitCode.USAGE
    assert file.read_bytes() == first
    capsys.readouterr()


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["claims", "--help"])
    assert caught.value.code == 0
    assert "examples:" in capsys.readouterr().out
