"""All commands in bad surroundings: 1 means refuted and nothing else; no traceback is printed."""

from __future__ import annotations

import dataclasses
import errno
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.record_fixture import mixed_record

from matrix.__main__ import COMMANDS, main
from matrix.cli import claims as claims_command
from matrix.cli.internal_error import FOLDER
from matrix.docker.connect import find_addresses
from matrix.errors import ExitCode, UnreadableInputError
from matrix.interpreters.discovery import InterpreterSource, SearchPlaces, search
from matrix.interpreters.inspect import InterpreterCache
from matrix.model.reason import Reason
from matrix.reporting.json import json_text, record_to_json
from matrix.runs.journal import Journal, lock_results
from matrix.runs.record_store import parse_record
from matrix.runs.run import exit_code
from matrix.system.paths import cache_dir, project_root, results_dir

# For each command, arguments with which it ends soon and without a network.
ARGUMENTS = {
    "claims": [],
    "audit": ["--part", "index", "--offline"],
    "plan": ["--offline"],
    "verify": ["--offline", "--rejudge"],
    "collect": [],
    "minimum": ["no-such-promise", "--offline", "--engine", "local"],
    "reproduce": ["cp39-linux_x86_64-flask2.2.3-ddtrace1.10.0", "--offline"],
    "report": ["latest"],
    "diff": ["before", "after"],
    "suggest": ["no-such-page.md", "--offline"],
    "qualify": ["--ddtrace", "2.21.12", "--offline", "--engine", "local"],
    "check-signoff": ["n" * 300, "--key", "k" * 300, "--ddtrace", "2.21.12"],
    "worker": [],
    "images": ["list", "unexpected"],
    "services": ["start"],
    "places": ["--context", "none"],
    "clean": ["--dry-run", "--cache", "--results"],
}


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "results"))
    return tmp_path / "results"


def run(command: str, *arguments: str) -> int:
    try:
        return main([command, *(arguments or ARGUMENTS[command])])
    except SystemExit as error:
        return int(error.code or 0)


class _Failing(io.StringIO):
    """A file that fails."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, _text: str) -> int:
        raise OSError(self.number, os.strerror(self.number))


def full_output(monkeypatch: pytest.MonkeyPatch, _results: Path) -> None:
    monkeypatch.setattr(sys, "stdout", _Failing(errno.ENOSPC))


def gone_reader(monkeypatch: pytest.MonkeyPatch, _results: Path) -> None:
    monkeypatch.setattr(sys, "stdout", _Failing(errno.EPIPE))


def no_output(monkeypatch: pytest.MonkeyPatch, _results: Path) -> None:
    monkeypatch.setattr(sys, "stdout", None)


def nested_line(_monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    results.mkdir()
    (results / "journal.jsonl").write_text("[" * 200_000 + "\n")


def folders_for_files(_monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    for name in ("run.pid", "run.lock", "journal.jsonl", "manifest.json", "report.html"):
        (results / name).mkdir(parents=True)


def file_for_results(_monkeypatch: pytest.MonkeyPatch, results: Path) -> None:
    results.write_text("")


def damaged_cache(_monkeypatch: pytest.MonkeyPatch, _results: Path) -> None:
    cache_dir().mkdir()
    for name in ("interpreters.json", "images.json", "layouts.json"):
        (cache_dir() / name).write_text("[" * 100_000)


SURROUNDINGS = (
    *(full_output, gone_reader, no_output),
    *(nested_line, folders_for_files, file_for_results, damaged_cache),
)


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=lambda made: made.__name__)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_ends_with_1_or_a_traceback(
    command: str,
    surroundings: Callable[[pytest.MonkeyPatch, Path], None],
    monkeypatch: pytest.MonkeyPatch,
    own_folders: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with monkeypatch.context() as patched:
        surroundings(patched, own_folders)
        code = run(command)
    assert code in set(ExitCode) - {ExitCode.REFUTED, ExitCode.INTERNAL}
    captured = capsys.readouterr()
    assert "Traceback" not in captured.out + captured.err


def test_output_that_cannot_be_written_is_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", _Failing(errno.ENOSPC))
        assert run("claims") == ExitCode.STORAGE
        assert run("report") == ExitCode.USAGE  # an error of its own


def test_a_reader_that_ended_changes_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdout", _Failing(errno.EPIPE))
    assert run("claims", "--json", str(tmp_path / "claims.json")) == ExitCode.OK
    assert (tmp_path / "claims.json").stat().st_size > 1000


def test_an_error_of_ours_is_one_line_and_a_file(
    monkeypatch: pytest.MonkeyPatch, own_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise LookupError("at https://user:secret@index.example/simple\n\x1b")

    monkeypatch.setattr(claims_command, "read_inputs", fail)
    assert run("claims") == ExitCode.INTERNAL
    (line,) = capsys.readouterr().err.splitlines()
    (file,) = (own_folders / FOLDER).iterdir()
    assert line.startswith("internal error: LookupError: at https://***@index.example/simple")
    assert str(file) in line
    text = file.read_text()
    assert "Traceback" in text
    assert "command: python -m matrix claims" in text
    assert "secret" not in text + line


def test_without_results_the_file_is_in_the_temporary_folder(
    monkeypatch: pytest.MonkeyPatch, own_folders: Path, tmp_path: Path
) -> None:
    own_folders.write_text("a file")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(claims_command, "read_inputs", None)
    assert run("claims") == ExitCode.INTERNAL
    assert len(list((tmp_path / "temporary" / FOLDER).iterdir())) == 1


def test_what_is_relative_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", "cache")
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", "results")
    assert (cache_dir(), results_dir()) == (tmp_path / "cache", tmp_path / "results")


def test_a_source_of_interpreters_that_cannot_be_read_is_passed_over() -> None:
    def closed(_places: SearchPlaces) -> list[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", "/closed")

    sources = [
        InterpreterSource("pyenv", 10, closed),
        InterpreterSource("running", 20, lambda _places: [Path(sys.executable)]),
    ]
    found = search(sources)
    assert len(found.interpreters) == 1
    (note,) = found.passed_over
    assert note.startswith("interpreters of pyenv were passed over: ")
    assert "/closed" in note


def test_a_socket_in_a_closed_folder_is_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_path: object, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "stat", closed)
    assert find_addresses({}, Path("/closed")) == ()
    monkeypatch.undo()


@pytest.mark.parametrize(
    "entry", [5, {}, {"answer": {"version": 5}}, {"stamp": [1], "answer": {"version": 5}}]
)
def test_an_entry_of_the_interpreter_cache_that_is_none_is_asked_again(
    entry: object, tmp_path: Path
) -> None:
    file = tmp_path / "interpreters.json"
    executable = Path(sys.executable)
    status = executable.stat()
    if isinstance(entry, dict) and "stamp" in entry:
        entry = {**entry, "stamp": [status.st_mtime_ns, status.st_size, ""]}
    file.write_text(json.dumps({"version": 1, "entries": {str(executable): entry}}))
    assert InterpreterCache(file).query(executable, lambda _path: {"version": "3.9.1"}) == {
        "version": "3.9.1"
    }


def test_a_record_of_the_year_1_is_refused() -> None:
    data = record_to_json(mixed_record())
    data["run"]["started"] = "0001-01-01T00:00:00+14:00"
    with pytest.raises(UnreadableInputError, match="too far away"):
        parse_record(json_text(data).encode(), "old.json")


def test_a_run_whose_folders_are_in_the_way_goes_on(own_folders: Path) -> None:
    (own_folders / "run.pid").mkdir(parents=True)
    with lock_results(own_folders):
        pass
    (own_folders / "journal.jsonl").write_text("[" * 200_000 + "\n")
    reading = Journal(own_folders / "journal.jsonl").read()
    assert (len(reading.entries), len(reading.remarks)) == (0, 1)


def test_a_run_without_room_for_its_cells_is_a_full_disk() -> None:
    record = mixed_record()
    first, *others = record.cells
    full = dataclasses.replace(first, reason=Reason.DISK_FULL)
    assert exit_code(dataclasses.replace(record, cells=(full, *others)), strict=False) == 6


@pytest.mark.skipif(sys.platform == "win32", reason="uses a shell of POSIX")
@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        pytest.param(
            "> /dev/full",
            6,
            marks=pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full"),
        ),
        (">&-", 0),
        ("| head -1 > /dev/null; exit ${PIPESTATUS[0]}", 0),
    ],
)
def test_a_real_output(redirection: str, code: int) -> None:
    command = f"'{sys.executable}' -m matrix claims {redirection}"
    process = subprocess.run(
        [shutil.which("bash") or "bash", "-c", command],
        cwd=project_root(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == code
    assert not re.search("Traceback|Exception ignored", process.stderr)
