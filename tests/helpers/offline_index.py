"""A cached index without network, for the commands that plan."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from helpers.planning_fixture import world
from matrix.cli import kept_plans
from matrix.cli import plan as plan_command
from matrix.interpreters import discovery
from matrix.model.environment import Interpreter
from matrix.planning import planner
from matrix.pypi.cache import dump_project
from matrix.pypi.client import CachedIndex


@functools.cache
def _dumped_world() -> dict[str, str]:
    return {name: dump_project(project) for name, project in world().projects.items()}


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a cache of the small index, for this process and its children."""
    monkeypatch.setenv("COMPAT_MATRIX_CACHE", str(tmp_path / "cache"))
    index = CachedIndex(tmp_path / "cache")
    for name, text in _dumped_world().items():
        path = index.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    python = Interpreter(Path("python"), "2.7.18", "build", "linux_x86_64", "glibc 2.36", "path")
    monkeypatch.setattr(kept_plans, "SNAPSHOT", tmp_path / "no-snapshot.json")
    for module in (plan_command, discovery):
        monkeypatch.setattr(module, "find_interpreters", lambda: (python,))
    monkeypatch.setattr(planner, "host_target", lambda: "linux_x86_64")
    return tmp_path
