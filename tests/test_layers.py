"""Imports run one way: documents, claims, plan, cells, observations, verdicts, reports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from matrix.system.paths import project_root

PACKAGE = project_root() / "matrix"

# A module may import from its own package and from those that stand before it.
ORDER = [
    {"errors", "model"},
    {"system"},
    {"documents"},
    {"interpreters"},
    {"pypi"},
    {"docker"},
    {"services"},
    {"agent"},
    {"probes"},
    {"planning"},
    {"environments"},
    {"cells"},
    {"judging"},
    {"runs"},
    {"reporting"},
    {"distributed"},
    {"features"},
    {"cli"},
    {"__main__"},
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}


def imports(path: Path) -> set[str]:
    """Return the parts of the project that a module imports, by name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "matrix":
            names = [f"matrix.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("matrix.")}
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in RANK, f"matrix/{own} has no place in the order of the house"
    for name in imports(path):
        assert name == own or RANK[name] < RANK[own], f"{own} must not import {name}"


def test_the_check_itself_can_fail(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("import os\nfrom matrix.runs import run\nfrom matrix import judging\n")
    assert imports(module) == {"runs", "judging"}
