"""From a page, a release and a policy to a sign-off and its check, on real cells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.errors import ExitCode
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import host_target
from matrix.system.paths import project_root

pytestmark = [
    pytest.mark.cells,
    pytest.mark.index,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="the page is about Linux"),
]

PAGE = """\
---
title: Python, one promise
---
## Versions

| Release | Support level |
|---|---|
| `>=2.0,<3` | Maintenance |

| OS | CPU | Runtime | Runtime version | Supported ddtrace versions |
|---|---|---|---|---|
| Linux | x86-64 | CPython | 3.9 | `>=2,<3` |

### Supported frameworks

| Framework Web Server | Minimum Framework Version |
|----------------------|---------------------------|
| Flask                | 2.2                       |
"""
POLICY = """\
schema = "policy/1"
[require]
claims = ["page/runtime/*"]
targets = ["linux_x86_64"]
[evidence]
repeats = 2
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if host_target() != "linux_x86_64":
        pytest.skip("the page is about x86-64")
    if "3.9" not in {found.python for found in find_interpreters()}:
        pytest.skip("no CPython 3.9 here")
    folder = tmp_path_factory.mktemp("qualify")
    (folder / "page.md").write_text(PAGE, encoding="utf-8")
    (folder / "policy.toml").write_text(POLICY, encoding="utf-8")
    # A copy outside of git: files of a working tree may change meanwhile.
    for part in ("matrix", "apps", "fixtures"):
        shutil.copytree(
            project_root() / part,
            folder / "project" / part,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    return folder


def matrix(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (sys.executable, "-m", "matrix", *arguments),
        cwd=folder / "project",
        env={**os.environ, "COMPAT_MATRIX_RESULTS": str(folder / "results")},
        capture_output=True,
        text=True,
        check=False,
    )


def qualify(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    page, policy = str(folder / "page.md"), str(folder / "policy.toml")
    options = ("--ddtrace", "2.21.12", "--policy", policy, "--engine", "local")
    return matrix(folder, "qualify", page, *options, *more)


def test_from_a_page_to_a_sign_off_that_holds(folder: Path) -> None:
    key, out = folder / "key.pem", folder / "signoff"
    assert matrix(folder, "qualify", "--make-key", str(key)).returncode == ExitCode.OK
    done = qualify(folder, "--key", str(key), "--out", str(out))
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert "qualifies: 1 passed, 0 waived, 0 failed" in done.stdout

    check = ("check-signoff", str(out), "--key", f"{key}.pub")
    page = ("--document", str(folder / "page.md"))
    checked = matrix(folder, *check, "--ddtrace", "2.21.12", *page)
    assert checked.returncode == ExitCode.OK, checked.stderr
    assert "vouches for  ddtrace-2.21.12-cp39-cp39-manylinux" in checked.stdout
    assert checked.stdout.count("vouches for") == 1

    other = matrix(folder, *check, "--ddtrace", "2.21.11")
    assert other.returncode == ExitCode.SIGN_OFF_REFUSED
    text = (folder / "page.md").read_text(encoding="utf-8")
    (folder / "elsewhere").mkdir()
    changed = folder / "elsewhere" / "page.md"
    changed.write_text(text.replace("3.9", "3.8"), encoding="utf-8")
    refused = matrix(folder, *check, "--document", str(changed))
    assert refused.returncode == ExitCode.SIGN_OFF_REFUSED
    assert "not about this version of the document page" in refused.stderr


def test_what_was_recorded_is_judged_without_a_run(folder: Path) -> None:
    first = qualify(folder)
    assert first.returncode == ExitCode.OK, first.stdout + first.stderr
    again = qualify(folder, "--record", "latest", "--offline")
    assert again.returncode == ExitCode.OK, again.stdout + again.stderr
    # A run of another version of the page does not count.
    page = folder / "page.md"
    text = page.read_text(encoding="utf-8")
    page.write_text(text + "\nMore.\n", encoding="utf-8")
    try:
        failed = qualify(folder, "--record", "latest", "--offline")
    finally:
        page.write_text(text, encoding="utf-8")
    assert failed.returncode == ExitCode.DOES_NOT_QUALIFY
    assert "another document" in failed.stdout
