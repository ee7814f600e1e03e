"""The command suggest: options, outputs, exit codes, and invalid inputs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import jsonschema
import pytest
from helpers.claim_lines import DOCUMENTS
from helpers.corrections_fixture import Truth, findings_of, since
from helpers.planning_fixture import LINUX, READ, FakeIndex, world
from helpers.run_fakes import MINIMUM, PROBE, PROBES, FakeRunner, failed
from helpers.scheduler_runs import SchedulerRun, responses

from matrix.__main__ import main
from matrix.cli import options
from matrix.cli import suggest as suggest_command
from matrix.documents.document import read_documents
from matrix.errors import ExitCode
from matrix.features.corrections import suggest as suggestions
from matrix.features.corrections.basis import read_verdicts, recorded_findings
from matrix.features.corrections.change import Action, DocumentChange
from matrix.features.corrections.edit import Deletion
from matrix.features.corrections.page import PageText, read_pages
from matrix.judging.claims import judge
from matrix.judging.findings import FindingTable
from matrix.model.plan import Plan
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.planning.planner import make_plan
from matrix.reporting.json import record_to_json
from matrix.runs.journal import Journal
from matrix.runs.record import CellRecord, Record
from matrix.runs.result_store import CaptureStore
from matrix.system.paths import data_dir

LATE = since(threat_detection="1.10.0", threat_protection="1.10.3")


class Index(FakeIndex):
    """The small world's index, with the constructor and notices of the commands' index."""

    notices: tuple[str, ...] = ()

    def __init__(self, *_: object, **__: object) -> None:
        super().__init__(world().projects)


@pytest.fixture(autouse=True)
def _small_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(suggest_command, "CachedIndex", Index)
    monkeypatch.setattr(options, "CachedIndex", Index)
    monkeypatch.setattr(suggest_command, "static_evidence", lambda *_: {})
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.md"
    path.write_bytes((DOCUMENTS / "wrong.md").read_bytes())
    return Path("wrong.md")


def run_result(plan: Plan, truth: Truth) -> tuple[Record, list[Finding]]:
    findings = findings_of(plan, truth)
    cells = tuple(
        CellRecord(
            cell=cell,
            probes=(),
            reason=None,
            detail="",
            seconds=1.0,
            reused=False,
            fallback=False,
            key="0",
            started="",
            findings=tuple(one for one in findings if one.cell == cell),
        )
        for cell in dict.fromkeys(one.cell for one in findings)
    )
    record = Record.of(plan, cells, judge(plan, FindingTable(findings)), READ, 1.0)
    return record, findings


def verdicts_of(page: Path, truth: Truth = LATE, **changes: object) -> str:
    """Write a file of verdicts as `verify --json` does, and return its name."""
    plan = make_plan(read_documents([page]).claims, world(), targets=(LINUX,))
    data = {**record_to_json(run_result(plan, truth)[0].dated("then")), **changes}
    Path("verdicts.json").write_text(json.dumps(data), encoding="utf-8")
    return "verdicts.json"


def test_standard_output_is_the_diff_and_nothing_else(
    page: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["suggest", str(page), "--verdicts", verdicts_of(page)]) == ExitCode.OK
    out, err = capfdbinary.readouterr()
    assert out.startswith(b"--- wrong.md\n+++ wrong.md\n@@ -8,")
    assert b"+| Threat Detection  | 1.10.3   " in out
    assert all(line[:1] in b"-+ @" for line in out.splitlines())
    assert b"note: 4 changes, from verdicts.json" in err


def test_the_requested_files_are_written(
    page: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    arguments = ["--out", "new", "--json", "why.json", "--summary", "why.md"]
    assert main(["suggest", str(page), "--verdicts", verdicts_of(page), *arguments]) == 0
    data = json.loads(Path("why.json").read_text(encoding="utf-8"))
    schema = json.loads((data_dir() / "schemas" / "suggest.schema.json").read_text("utf-8"))
    jsonschema.validate(data, schema)
    assert data["documents"][0]["diff"].encode() == capfdbinary.readouterr()[0]
    assert data["still_refuted"] == []
    assert b"1.10.3" in Path("new/wrong.md").read_bytes()
    assert page.read_bytes() == (DOCUMENTS / "wrong.md").read_bytes()
    assert "nox -s reproduce -- cp" in Path("why.md").read_text(encoding="utf-8")


def test_the_help_offers_no_default_where_documents_must_be_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["suggest", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "Markdown pages to correct" in out
    assert "facts that are committed" not in out


@pytest.mark.parametrize("folder", [".", "../{here}", "link"])
def test_the_corrected_files_never_replace_the_documents(
    page: Path, folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("link").symlink_to(tmp_path)
    arguments = ["--verdicts", verdicts_of(page), "--out", folder.format(here=tmp_path.name)]
    assert main(["suggest", str(page), *arguments]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert (out, "would replace wrong.md" in err) == ("", True)
    assert page.read_bytes() == (DOCUMENTS / "wrong.md").read_bytes()


def test_json_is_the_only_standard_output(
    page: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    main(["suggest", str(page), "--verdicts", verdicts_of(page), "--json", "-"])
    assert json.loads(capfdbinary.readouterr()[0])["schema"] == "suggest/1"


def test_a_claim_to_edit_by_hand_is_exit_code_1(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text(encoding="utf-8").replace("in Flask\n", "in Flask. Ask for more.\n")
    page.write_text(text, encoding="utf-8")
    assert main(["suggest", str(page), "--verdicts", verdicts_of(page)]) == ExitCode.REFUTED
    err = capsys.readouterr().err
    assert "edit by hand: wrong:42" in err
    assert "still refuted: wrong/note/flask-query-string" in err


def test_recorded_results_are_judged_without_a_verdicts_file(
    page: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    recorded: list[Finding] = []

    def verify(plan: Plan, run_options: object, *_: object) -> Record:
        assert "rejudge=True" in repr(run_options)
        result, findings = run_result(plan, LATE)
        recorded.extend(findings)
        return result

    monkeypatch.setattr(suggest_command, "verify", verify)
    monkeypatch.setattr(suggest_command, "recorded_findings", lambda *_: tuple(recorded))
    assert main(["suggest", str(page)]) == ExitCode.OK
    assert b"+| Threat Detection  | 1.10.3   " in capfdbinary.readouterr()[0]


def test_without_recorded_results_there_is_a_note_and_no_diff(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["suggest", str(page), "--engine", "local"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out == ""
    assert "no cell has any findings in recorded results" in err


def write_damaged(name: str, page: Path) -> str:
    """Write a damaged file of verdicts, and return the document to use it for."""
    if name == "garbage":
        Path("verdicts.json").write_text("{", encoding="utf-8")
    elif name == "schema":
        verdicts_of(page, schema="audit/1")
    elif name == "halved":
        verdicts_of(page, verdicts=[{"claim": "x"}])
    elif name == "cells":
        verdicts_of(page, cells=[{"id": "no cell", "findings": [{"probe": "x"}]}])
    elif name == "a list":
        Path("verdicts.json").write_text("[]", encoding="utf-8")
    elif name == "other version":
        verdicts_of(page)
        page.write_text(page.read_text("utf-8") + "\n", encoding="utf-8")
    elif name == "other document":
        verdicts_of(page)
        return str(page.rename("wrongs.md"))
    return str(page)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "there is no file verdicts.json"),
        ("garbage", "verdicts.json is not JSON"),
        ("a list", "its schema is None, not 'verdicts/1'"),
        ("schema", "its schema is 'audit/1', not 'verdicts/1'"),
        ("halved", "verdicts.json is not a complete file of verdicts"),
        ("cells", "verdicts.json is not a complete file of verdicts"),
        ("other version", "another version of wrong (sha256 "),
        ("other document", "has no claims of wrongs; did you mean 'wrong'?"),
    ],
)
def test_an_unusable_verdicts_file_is_named(
    page: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = write_damaged(name, page)
    assert main(["suggest", document, "--verdicts", "verdicts.json"]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert "verdicts.json" in err
    assert message in err
    assert "hint:" in err


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("claims", 0, "sha256"), 5),
        (("verdicts", 0, "facts"), None),
        (("verdicts", 0, "remark_facts"), [5]),
        (("verdicts", 0, "parts", 0, "cells"), []),
        (("verdicts", 0, "parts", 0, "probe"), []),
        (("verdicts", 0, "parts", 0, "facts"), 5),
        (("cells", 0, "id"), "cp39-linux_x86_64-flask1.0-ddtrace1..0"),
        (("cells", 0, "findings", 0, "channel"), []),
        (("cells", 0, "findings", 0, "note_facts"), 5),
    ],
)
def test_invalid_values_in_a_verdicts_file_are_refused(
    page: Path, place: Sequence[str | int], value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(verdicts_of(page))
    data = json.loads(path.read_text(encoding="utf-8"))
    container = data
    for key in place[:-1]:
        container = container[key]
    container[place[-1]] = value
    path.write_text(json.dumps(data), encoding="utf-8")
    assert main(["suggest", str(page), "--verdicts", path.name]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert (out, "verdicts.json is not a complete file of verdicts" in err) == ("", True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs documents"),
        (["nothing.md"], "nothing.md"),
        (["prose.md"], "prose.md: no compatibility table"),
        (["wrong.md", "--summary", "none/why.md"], "there is no folder none"),
    ],
)
def test_wrong_usage_is_reported_before_anything_is_printed(
    page: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("prose.md").write_text("Only prose.\n", encoding="utf-8")
    assert main(["suggest", *arguments]) == ExitCode.USAGE
    out, err = capsys.readouterr()
    assert (out, message in err) == ("", True)


def test_a_change_with_unintended_effects_is_refused(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug of ours: a row is deleted though only the note is to be removed."""

    def deletes_a_row(_case: object, text: PageText, _settled: object) -> Iterator[DocumentChange]:
        note = next(one for one in text.claims if one.subject == "flask-query-string")
        yield DocumentChange(
            Action.NOTE, text.name, 1, "removed", (Deletion(11, 11),), (note.fact,), (), ()
        )

    monkeypatch.setattr(suggestions, "removed_notes", deletes_a_row)
    code = main(["suggest", str(page), "--verdicts", verdicts_of(page), "--out", "new"])
    out, err = capsys.readouterr()
    assert (code, out) == (ExitCode.USAGE, "")
    assert "lost capability threat-detection" in err
    assert "bug of this project" in err
    assert Path("new/wrong.md").read_bytes() == page.read_bytes()


def test_files_in_another_folder_are_named_relative_to_it(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    verdicts = tmp_path / verdicts_of(page)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    assert main(["suggest", "../wrong.md", "--verdicts", str(verdicts)]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert out.startswith("--- wrong.md\n")
    assert f"patch -p0 -d {tmp_path}" in err


def test_an_unavailable_index_prevents_the_check_but_not_the_diff(
    page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = verdicts_of(page)
    monkeypatch.setattr(suggest_command, "CachedIndex", lambda *_, **__: FakeIndex({}))
    assert main(["suggest", str(page), "--verdicts", name, "--summary", "why.md"]) == ExitCode.OK
    out, err = capsys.readouterr()
    assert "+| Threat Detection " in out
    assert "were not judged again: no ddtrace" in err
    assert "Not judged again" in Path("why.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("engine", ["docker", ""])
def test_a_verdicts_file_has_the_findings_of_containers(page: Path, engine: str) -> None:
    path = Path(verdicts_of(page))
    data = json.loads(path.read_text(encoding="utf-8"))
    first, *_ = (cell for cell in data["cells"] if cell["findings"])
    facts = dict.fromkeys(("image", "os", "machine", "libc", "python", "build", "isolation"), "")
    first["where"] = {"engine": engine, "bits": 64, **facts}
    path.write_text(json.dumps(data), encoding="utf-8")
    file = read_verdicts(path, read_pages([page])[1].values())
    assert {one.cell.id for one in file.contained} == ({first["id"]} if engine else set())


def test_captures_that_are_in_no_plan_are_judged(tmp_path: Path) -> None:

    SchedulerRun(tmp_path, FakeRunner(responses(minimum="welcome"))).run()
    journal, captures = Journal(tmp_path / "journal.jsonl"), CaptureStore(tmp_path / "captures")
    shows = {one.cell.id: one.shows for one in recorded_findings(journal, captures, PROBES)}
    assert shows[MINIMUM] is Observed.ABSENT
    assert set(shows.values()) == {Observed.ABSENT, Observed.PRESENT}
    assert recorded_findings(journal, captures, PROBES, lambda _capture: False) == ()
    assert PROBE in PROBES


def test_a_count_of_crashes_replaces_no_finding(tmp_path: Path) -> None:
    SchedulerRun(tmp_path, FakeRunner(responses(minimum="welcome"))).run()
    journal, captures = Journal(tmp_path / "journal.jsonl"), CaptureStore(tmp_path / "captures")
    before = recorded_findings(journal, captures, PROBES)
    of_minimum = next(item for item in journal.read().entries.values() if item.cell == MINIMUM)
    captures.write(failed(MINIMUM, Reason.TIMED_OUT, "counted"))
    with contextlib.closing(journal):
        journal.append(dataclasses.replace(of_minimum, key="counted", count="soak/appsec of 10"))
    assert recorded_findings(journal, captures, PROBES) == before
