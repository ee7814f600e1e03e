"""Rules of the architecture that a test can tell: order of imports, names, docstrings, seams."""

from __future__ import annotations

import ast
import collections
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from matrix.system.paths import project_root

ROOT = project_root()
PACKAGE = ROOT / "matrix"

# A module may import from its own package and from those that stand before it.
ORDER = (
    "errors",
    "model",
    "system",
    "documents",
    "interpreters",
    "pypi",
    "docker",
    "kubernetes",
    "services",
    "agent",
    "probes",
    "planning",
    "environments",
    "cells",
    "judging",
    "runs",
    "reporting",
    "distributed",
    "features",
    "cli",
    "__main__",
)
RANK = {name: rank for rank, name in enumerate(ORDER)}
# Packages of the pipeline, and probes that are named after what they probe.
NAMED_ING = {"planning", "judging", "reporting", "flask_query_string", "web_tracing"}
VAGUE = {"said", "told", "meant", "asked", "wanted", "seen", "sought", "held", "kept"}
NOT_A_SENTENCE = re.compile(r"(What|Which|Where|Whether|How|Why|Who)\b")
# Where ids of cells come from files and from users.
BORDERS = {
    "cli/minimum.py",
    "cli/reproduce.py",
    "distributed/gather.py",
    "distributed/durations.py",
    "features/qualification/expected.py",
    "features/reproduce/run.py",
    "judging/cells.py",
    "model/cell.py",
    "model/fact.py",
    "model/validate.py",
    "planning/plan_file.py",
    "planning/profiles.py",
    "reporting/progress.py",
    "runs/journal.py",
    "runs/record_store.py",
    "runs/run.py",
}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


MODULES = modules()
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(tree: ast.Module) -> set[str]:
    """Return the parts of the project that a module imports, by name."""
    found: set[str] = set()
    for node in ast.walk(tree):
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


def documented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of a module, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
            yield getattr(node, "lineno", 1), ast.get_docstring(node) or ""


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_run_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in RANK, f"matrix/{own} has no place in the order of the packages"
    for name in imports(TREES[path]):
        assert name == own or RANK[name] < RANK[own], f"{own} must not import {name}"


def test_there_are_few_packages() -> None:
    packages = [path for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    assert len(packages) <= 20
    assert {path.name for path in packages} <= set(ORDER)


def test_a_class_name_exists_once() -> None:
    places: dict[str, list[str]] = collections.defaultdict(list)
    for path in MODULES:
        if "stubs" in path.parts:
            continue  # programs of their own
        for node in TREES[path].body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(name_of(path))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_modules_are_named_by_nouns() -> None:
    assert {path.stem for path in MODULES if path.stem.endswith("ing")} <= NAMED_ING


def test_docstrings_begin_with_a_plain_sentence() -> None:
    assert [
        f"{name_of(path)}:{line} {text.splitlines()[0]}"
        for path in MODULES
        for line, text in documented(TREES[path])
        if NOT_A_SENTENCE.match(text)
    ] == []


def test_locals_say_what_they_hold() -> None:
    # A field may be the name of a key in a file's format.
    fields = {
        statement.target
        for path in MODULES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.ClassDef)
        for statement in node.body
        if isinstance(statement, ast.AnnAssign)
    }
    assert [
        f"{name_of(path)}:{node.lineno} {node.id}"
        for path in MODULES
        for node in ast.walk(TREES[path])
        if isinstance(node, ast.Name) and node.id in VAGUE and node not in fields
        if isinstance(node.ctx, ast.Store)
    ] == []


def test_ids_of_cells_are_read_at_the_borders_only() -> None:
    readers = {
        name_of(path) for path in MODULES if "Cell.parse(" in path.read_text(encoding="utf-8")
    }
    assert readers <= BORDERS


def test_only_plug_ins_are_in_a_plug_in_folder() -> None:
    for folder, attribute in (
        ("documents/tables", "READER"),
        ("interpreters/sources", "SOURCE"),
        ("probes/capabilities", "PROBE"),
        ("services/protocols", "def identify("),
    ):
        for path in (PACKAGE / folder).glob("[!_]*.py"):
            assert attribute in path.read_text(encoding="utf-8"), f"{path} has no {attribute}"


def test_no_test_patches_our_code_by_a_path_in_a_string() -> None:
    patched = re.compile(r"""(?:setattr|delattr|patch)\(\s*f?["']matrix\.""")
    assert [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if patched.search(path.read_text(encoding="utf-8"))
    ] == []


def test_no_test_module_imports_another() -> None:
    imported = re.compile(r"^\s*(?:from|import) test_", re.MULTILINE)
    assert [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if imported.search(path.read_text(encoding="utf-8"))
    ] == []


def test_the_checks_can_fail() -> None:
    tree = ast.parse(
        'def told():\n    """What is told."""\n'
        "from matrix.runs import run\nfrom matrix import judging"
    )
    assert imports(tree) == {"runs", "judging"}
    assert [text for _, text in documented(tree) if NOT_A_SENTENCE.match(text)] == ["What is told."]
