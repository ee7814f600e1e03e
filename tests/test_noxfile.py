"""The noxfile: the tool's own environment, isolated from the caller's, and nox's exit code."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import nox.registry
import pytest
from nox.command import CommandFailed

from matrix.errors import ExitCode
from matrix.system.paths import project_root


@pytest.fixture
def noxfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the noxfile, whose environments are made in a folder of the test."""
    spec = importlib.util.spec_from_file_location("own_noxfile", project_root() / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    nox.registry.reset()
    spec.loader.exec_module(module)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "run.txt").write_text("")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    return module


class RecordedSession:
    """A session that records its commands; those with a word of `failing` fail with its code."""

    def __init__(self, folder: Path, failing: dict[str, int | None] | None = None) -> None:
        self.invoked_from = str(folder / "typed-here")
        self.posargs: list[str] = []
        self.name = "claims"
        self.commands: list[tuple[str, ...]] = []
        self.environs: list[dict[str, str | None]] = []
        self._failing = failing or {}

    def log(self, _text: str) -> None:
        """Print nothing."""

    def run(self, *command: str, env: dict[str, str | None], **_: Any) -> None:  # noqa: ANN401
        """Record a command; a virtualenv is made as a folder."""
        self.commands.append(command)
        self.environs.append(env)
        for word, code in self._failing.items():
            if any(word in argument for argument in command):
                raise CommandFailed("failed", return_code=code)
        if "virtualenv" in command:
            Path(command[-1]).mkdir(parents=True)

    run_install = run


def environments(folder: Path) -> list[str]:
    return [path.name for path in (folder / ".nox").glob("run-*")]


def lead_elsewhere(monkeypatch: pytest.MonkeyPatch, names: Iterable[str]) -> None:
    for name in names:
        monkeypatch.setenv(name, "elsewhere")


LEADING = ("PIP_TARGET", "PIP_USER", "UV_TARGET", "PYTHONPATH", "PYTHONSAFEPATH", "VIRTUALENV_PIP")


def test_the_own_environment_is_not_led_by_the_caller(
    noxfile: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_elsewhere(monkeypatch, LEADING)
    monkeypatch.setenv("PIP_INDEX_URL", "https://u:p@index.example/simple")
    session = RecordedSession(tmp_path)
    noxfile.locked_python(session, "run")
    assert len(environments(tmp_path)) == 1
    assert len(session.environs) == 3
    for environ in session.environs:
        assert [environ[name] for name in LEADING] == [None] * len(LEADING)
        assert environ["PIP_INDEX_URL"] == "https://u:p@index.example/simple"
        assert environ["PIP_CONFIG_FILE"] == os.devnull
    noxfile.locked_python(session, "run")
    assert len(session.commands) == 3  # it is kept


@pytest.mark.parametrize("step", ["virtualenv", "install", "import matrix"])
def test_an_environment_that_cannot_be_made_is_not_kept_and_not_a_refutation(
    noxfile: ModuleType, tmp_path: Path, step: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        noxfile.locked_python(RecordedSession(tmp_path, {step: 1}), "run")
    assert caught.value.code == noxfile.NO_ENVIRONMENT
    assert caught.value.code not in set(ExitCode)
    assert environments(tmp_path) == []
    assert "pip.conf" in capsys.readouterr().err


@pytest.mark.parametrize(("code", "of_nox"), [(1, 1), (4, 4), (-9, 137), (-1, 129), (None, 69)])
def test_nox_ends_with_the_code_of_the_command(
    noxfile: ModuleType, tmp_path: Path, code: int | None, of_nox: int
) -> None:
    with pytest.raises(SystemExit) as caught:
        noxfile.command(RecordedSession(tmp_path, {"claims": code}))
    assert caught.value.code == of_nox


def test_the_tool_runs_without_the_callers_python_and_from_where_it_was_typed(
    noxfile: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead_elsewhere(monkeypatch, ("PYTHONPATH", "PYTHONSAFEPATH"))
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", "cache")
    monkeypatch.setenv("COMPAT_MATRIX_RESULTS", str(tmp_path / "absolute"))
    session = RecordedSession(tmp_path)
    noxfile.matrix(session, "claims")
    environ = session.environs[-1]
    assert (environ["PYTHONPATH"], environ["PYTHONSAFEPATH"]) == (None, None)
    assert environ["COMPAT_MATRIX_CACHE"] == str(tmp_path / "typed-here" / "cache")
    assert environ["COMPAT_MATRIX_RESULTS"] == str(tmp_path / "absolute")


# Stands for the tool: its exit code is the last argument, the name of a cell.
ENDS_WITH_ITS_ARGUMENT = """#!/bin/sh
for last in "$@"; do :; done
exit $last
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-in of the tool is a shell script")
@pytest.mark.parametrize(
    ("codes", "of_nox"), [("0 0", 0), ("4 0", 4), ("0 1 4", 1), ("4 6", 6), ("70", 70)]
)
def test_nox_ends_with_the_code_of_the_cells_that_have_all_been_run(
    noxfile: ModuleType, tmp_path: Path, codes: str, of_nox: int
) -> None:
    python = Path(noxfile.locked_python(RecordedSession(tmp_path), "run"))
    python.parent.mkdir()
    python.write_text(ENDS_WITH_ITS_ARGUMENT, "ascii")
    python.chmod(0o755)
    shutil.copy(project_root() / "noxfile.py", tmp_path)
    data = tmp_path / "matrix" / "data"
    data.mkdir(parents=True)
    (data / "smoke.toml").write_text(f"cells = {codes.split()}", "ascii")
    command = [sys.executable, "-m", "nox", "-s", "cell"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == of_nox, done.stderr
    assert done.stderr.count("Running session cell") == len(codes.split())
