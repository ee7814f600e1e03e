"""Simulations of the GitHub actions that the workflows use: their effects on a job's machine."""

from __future__ import annotations

import dataclasses
import fnmatch
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from matrix.interpreters.discovery import find_interpreters

__all__ = ["ActionError", "Machine", "Store", "run_action"]

# Invalid in an artifact's file names: actions/toolkit, path-and-artifact-name-validation.ts.
_INVALID_CHARACTERS = re.compile(r'["<>|*?\r\n:]')


class ActionError(Exception):
    """An action that fails, as it does on GitHub."""


@dataclasses.dataclass
class Store:
    """The artifacts of one run of a workflow; `origin` is the repository that is checked out."""

    origin: Path
    artifacts: Path
    pythons: Path


@dataclasses.dataclass
class Machine:
    """The workspace, the temporary folder and the search path of one job."""

    workspace: Path
    temporary: Path
    path: list[str]

    def resolve(self, path: str) -> Path:
        """Return a path of an action's inputs, relative to the workspace."""
        return self.workspace / path


def run_action(uses: str, inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    """Simulate an action; raise ActionError."""
    actions = {
        "actions/checkout": _checkout,
        "actions/setup-python": _setup_python,
        "actions/upload-artifact": _upload,
        "actions/download-artifact": _download,
    }
    actions[uses.partition("@")[0]](inputs, machine, store)


def _checkout(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    assert set(inputs) <= {"persist-credentials"}
    clone = ("git", "clone", "--quiet", "--branch", "main", str(store.origin))
    subprocess.run((*clone, str(machine.workspace)), check=True, timeout=120)
    # All simulated jobs share the environments of nox.
    (machine.workspace / ".nox").symlink_to(store.pythons, target_is_directory=True)
    exclude = machine.workspace / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text(".nox\n", encoding="utf-8")


def _setup_python(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    executables = {
        interpreter.python: interpreter.executable for interpreter in find_interpreters()
    }
    for python in inputs["python-version"].split():
        if python not in executables:
            raise ActionError(f"CPython {python} is not installed")
    if inputs.get("update-environment", "true") == "false":
        return
    python = inputs["python-version"].strip()
    folder = store.pythons.with_name(f"python-{python}")
    if not folder.exists():
        command = (str(executables[python]), "-m", "venv", str(folder))
        subprocess.run(command, check=True, timeout=120)
    machine.path.insert(0, str(folder / ("Scripts" if sys.platform == "win32" else "bin")))


def _upload(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    assert set(inputs) <= {"name", "path", "include-hidden-files", "if-no-files-found"}
    paths = [machine.resolve(line.strip()) for line in inputs["path"].splitlines() if line.strip()]
    files = [file for path in paths for file in _files(path)]
    if inputs.get("include-hidden-files", "false") != "true":
        files = [file for file in files if not _is_hidden(file, machine)]
    if not files:
        if inputs.get("if-no-files-found", "warn") == "error":
            raise ActionError(f"no files were found with {inputs['path']!r}")
        return
    # The root is the folder if there is one path, otherwise the common parent of all paths.
    first = paths[0] if paths[0].is_dir() else paths[0].parent
    root = first if len(paths) == 1 else Path(os.path.commonpath([path.parent for path in paths]))
    artifact = store.artifacts / inputs["name"]
    if artifact.exists():
        raise ActionError(f"the artifact {inputs['name']!r} exists already")
    for file in files:
        relative = file.relative_to(root)
        if _INVALID_CHARACTERS.search(relative.as_posix()):
            raise ActionError(f"invalid file name in an artifact: {relative}")
        (artifact / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, artifact / relative)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file()]
    return [path] if path.is_file() else []


def _is_hidden(file: Path, machine: Machine) -> bool:
    base = machine.workspace if file.is_relative_to(machine.workspace) else machine.temporary
    return any(part.startswith(".") for part in file.relative_to(base).parts)


def _download(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    assert set(inputs) <= {"name", "pattern", "path"}
    folder = machine.resolve(inputs["path"])
    if "name" in inputs:
        if not (store.artifacts / inputs["name"]).is_dir():
            raise ActionError(f"artifact {inputs['name']!r} is not found")
        shutil.copytree(store.artifacts / inputs["name"], folder, dirs_exist_ok=True)
        return
    artifacts = sorted(path for path in store.artifacts.iterdir() if path.is_dir())
    matching = [path for path in artifacts if fnmatch.fnmatchcase(path.name, inputs["pattern"])]
    for path in matching:
        # A single artifact is copied into the folder itself, several into subfolders.
        target = folder if len(matching) == 1 else folder / path.name
        shutil.copytree(path, target, dirs_exist_ok=True)
