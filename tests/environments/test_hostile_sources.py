"""Builds of hostile sources on this machine reach nothing of the user or of other releases."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import sys
import tarfile
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("elsewhere builds see what the user sees", allow_module_level=True)

from helpers.environment_fakes import INTERPRETER
from helpers.processes import processes_with

from matrix.environments.installers import UvInstaller
from matrix.environments.lock import site_packages
from matrix.environments.toolbox import Toolbox, run
from matrix.model.environment import Interpreter, Requirements
from matrix.system.sandboxed import mechanism

# A backend of its own needs no other package, and so no index.
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
"""
BACKEND = """
import json, os, subprocess, sys, zipfile
from pathlib import Path

MARK, SECRETS, PLACES = {mark!r}, {secrets!r}, {places!r}


def tried(act, path):
    try:
        act(path)
    except OSError as error:
        return type(error).__name__
    return "done"


def look(path):
    os.listdir(path) if os.path.isdir(path) else open(path, "rb").read()


def write(path):
    os.makedirs(path, exist_ok=True)
    open(os.path.join(path, "planted"), "w").close()


def build_wheel(folder, settings=None, metadata=None):
    if os.fork() == 0:
        os.setsid()
        command = [sys.executable, "-c", "import time; time.sleep(600)", MARK]
        subprocess.Popen(command, stdin=-3, stdout=-3, stderr=-3)
        os._exit(0)
    found = {{path: tried(look, path) for path in SECRETS}}
    found.update((path, tried(write, path)) for path in PLACES)
    info = "evil-1.0.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, "evil-1.0-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("evil.json", json.dumps(found))
        wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: evil\\nVersion: 1.0\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return "evil-1.0-py3-none-any.whl"
"""


@pytest.fixture(autouse=True)
def _needs_namespaces() -> None:
    if mechanism(allow_user=False).name != "namespaces":
        pytest.skip(mechanism(allow_user=False).text)


def index_of(folder: Path, backend: str) -> str:
    project = folder / "simple" / "evil"
    project.mkdir(parents=True)
    with tarfile.open(project / "evil-1.0.tar.gz", "w:gz") as archive:
        metadata = "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"
        files = {"PKG-INFO": metadata, "pyproject.toml": PROJECT, "backend.py": backend}
        for name, text in files.items():
            entry = tarfile.TarInfo(f"evil-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode("ascii")))
    (project / "index.html").write_text('<a href="evil-1.0.tar.gz">evil-1.0.tar.gz</a>', "ascii")
    return (folder / "simple").as_uri()


def built(tmp_path: Path, secrets: list[str], places: list[str]) -> Path:
    backend = BACKEND.format(mark=f"mark-of-{tmp_path}", secrets=secrets, places=places)
    tools = Toolbox(
        tmp_path / "store", index_of(tmp_path, backend), offline=False, runner=run, seconds=120
    )
    installer = UvInstaller(tools)
    python = Interpreter(
        Path(sys.executable), sys.version.split()[0], "", INTERPRETER.target, "", source="test"
    )
    today = dt.datetime.now(dt.timezone.utc).date() + dt.timedelta(days=1)
    requirements = Requirements(("evil==1.0",), (), today)
    lock = installer.resolve(python, requirements)
    folder = tmp_path / "store" / "envs" / ".part-key"
    installer.build(python, requirements, lock, folder)
    return folder


def test_it_reaches_nothing_of_the_user_or_of_other_environments(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("secret", "ascii")
    other = tmp_path / "store" / "envs" / "other"
    other.mkdir(parents=True)
    (other / "module").touch()
    secrets = [key, other / "module", tmp_path / "results", Path.home() / ".ssh", "/etc/shadow"]
    # In its own /tmp they may be written: what counts is what is outside.
    places = [tmp_path / "store" / name for name in ("uv", "files", "manifests", "envs/other")]
    library = Path(os.__file__).parent
    folder = built(tmp_path, [*map(str, secrets)], [*map(str, (*places, library))])
    found = json.loads((site_packages(folder) / "evil.json").read_text("ascii"))
    assert "done" not in [found[str(path)] for path in (*secrets, library)], found
    assert [*tmp_path.rglob("planted")] == []
    assert not processes_with(f"mark-of-{tmp_path}")
