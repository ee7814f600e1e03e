"""GitHub's actions, as far as the workflows use them: what they leave on the machine of a job."""

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

__all__ = ["ActionError", "Machine", "Store", "act"]

# What no file of an artifact may be called: actions/toolkit, path-and-artifact-name-validation.ts.
_UNUSABLE = re.compile(r'["<>|*?\r\n:]')


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
    """What one job has: its work space, its temporary folder, and its search path."""

    workspace: Path
    temporary: Path
    path: list[str]

    def at(self, text: str) -> Path:
        """Return the path that an input names."""
        return self.workspace / text


def act(uses: str, inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    """Do what an action does; raise ActionError."""
    name = uses.partition("@")[0]
    doing = {
        "actions/checkout": _checkout,
        "actions/setup-python": _setup_python,
        "actions/upload-artifact": _upload,
        "actions/download-artifact": _download,
    }
    doing[name](inputs, machine, store)


def _checkout(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    assert set(inputs) <= {"persist-credentials"}
    clone = ("git", "clone", "--quiet", "--branch", "main", str(store.origin))
    subprocess.run((*clone, str(machine.workspace)), check=True, timeout=120)
    # The environments of one machine are made once for the jobs that run on it.
    (machine.workspace / ".nox").symlink_to(store.pythons, target_is_directory=True)
    exclude = machine.workspace / ".git" / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text(".nox\n", encoding="utf-8")


def _setup_python(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    found = {each.python: each.executable for each in find_interpreters()}
    for wanted in inputs["python-version"].split():
        if wanted not in found:
            raise ActionError(f"there is no CPython {wanted} here")
    if inputs.get("update-environment", "true") == "false":
        return
    wanted = inputs["python-version"].strip()
    folder = store.pythons.with_name(f"python-{wanted}")
    if not folder.exists():
        make = (str(found[wanted]), "-m", "venv", str(folder))
        subprocess.run(make, check=True, timeout=120)
    machine.path.insert(0, str(folder / ("Scripts" if sys.platform == "win32" else "bin")))


def _upload(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    assert set(inputs) <= {"name", "path", "include-hidden-files", "if-no-files-found"}
    named = [machine.at(line.strip()) for line in inputs["path"].splitlines() if line.strip()]
    hidden = inputs.get("include-hidden-files", "false") == "true"
    files = [file for path in named for file in _files(path)]
    if not hidden:
        files = [file for file in files if not _is_hidden(file, machine)]
    if not files:
        if inputs.get("if-no-files-found", "warn") == "error":
            raise ActionError(f"no files were found with {inputs['path']!r}")
        return
    # One folder is the root itself; of several paths it is what they have in common.
    one = named[0] if named[0].is_dir() else named[0].parent
    root = one if len(named) == 1 else Path(os.path.commonpath([path.parent for path in named]))
    into = store.artifacts / inputs["name"]
    if into.exists():
        raise ActionError(f"there is an artifact {inputs['name']!r} already")
    for file in files:
        inner = file.relative_to(root)
        if _UNUSABLE.search(inner.as_posix()):
            raise ActionError(f"{inner} cannot be a file of an artifact")
        (into / inner).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, into / inner)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [file for file in sorted(path.rglob("*")) if file.is_file()]
    return [path] if path.is_file() else []


def _is_hidden(file: Path, machine: Machine) -> bool:
    base = machine.workspace if file.is_relative_to(machine.workspace) else machine.temporary
    return any(part.startswith(".") for part in file.relative_to(base).parts)


def _download(inputs: Mapping[str, str], machine: Machine, store: Store) -> None:
    assert set(inputs) <= {"name", "pattern", "path"}
    into = machine.at(inputs["path"])
    if "name" in inputs:
        if not (store.artifacts / inputs["name"]).is_dir():
            raise ActionError(f"artifact {inputs['name']!r} is not found")
        shutil.copytree(store.artifacts / inputs["name"], into, dirs_exist_ok=True)
        return
    there = sorted(path for path in store.artifacts.iterdir() if path.is_dir())
    found = [path for path in there if fnmatch.fnmatchcase(path.name, inputs["pattern"])]
    for path in found:
        # A single one lies in the folder itself, as those of several lie in folders of their own.
        to = into if len(found) == 1 else into / path.name
        shutil.copytree(path, to, dirs_exist_ok=True)
