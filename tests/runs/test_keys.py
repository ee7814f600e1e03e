"""Keys of results and of judgements: a change in any file that decides makes other keys."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from matrix.runs.keys import (
    CELL_FILES,
    CELL_MODULES,
    DECODERS,
    JUDGE_MODULES,
    cell_sources,
    cell_sources_in,
    judge_sources,
    judge_sources_in,
    library_files,
    own_files,
)
from matrix.system.paths import project_root
from matrix.system.source_files import imported_files, read_imports

ROOT = project_root()


def names(files: list[Path]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in files}


CELL = names(imported_files(CELL_MODULES, DECODERS))
JUDGE = names(imported_files(JUDGE_MODULES))


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the project, to change."""
    root = tmp_path_factory.mktemp("project")
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for name in ("matrix", "apps", "fixtures"):
        shutil.copytree(ROOT / name, root / name, ignore=ignore)
    return root


def changed(path: Path) -> str:
    """Change a file; return what it held."""
    before = path.read_text(encoding="utf-8")
    path.write_text(f"{before}# changed\n", encoding="utf-8")
    return before


def test_the_copy_has_the_keys_of_the_project(copy: Path) -> None:
    assert (cell_sources_in(copy), judge_sources_in(copy)) == (cell_sources(), judge_sources())


def test_a_change_in_any_file_that_drives_a_cell_makes_new_results(copy: Path) -> None:
    unchanged = cell_sources_in(copy)
    inside = [path for name in CELL_FILES for path in sorted((copy / name).glob("*.py"))]
    assert len(inside) > 5
    for path in [*inside, copy / "matrix/data/settings.toml", *(copy / name for name in CELL)]:
        before = changed(path)
        assert cell_sources_in(copy) != unchanged, path
        path.write_text(before, encoding="utf-8")
    assert cell_sources_in(copy) == unchanged


def test_only_the_cells_of_a_framework_depend_on_its_app_and_row() -> None:
    def own(framework: str) -> set[str]:
        return {path.relative_to(ROOT / "apps").as_posix() for path in own_files(framework)}

    assert own("redis") == {"libraries/redis.py"}
    assert own("flask") == {"flask_shop/__init__.py", "flask_shop/shop.py"}
    assert own("aiohttp") == {
        "aiohttp_shop/__init__.py",
        "aiohttp_shop/shop.py",
        "libraries/aiohttp_server.py",
    }
    servers = {f"libraries/{name}.py" for name in ("hypercorn", "uvicorn", "asgi")}
    assert own("hypercorn") == servers


def test_a_change_in_any_file_that_judges_makes_another_judgement(copy: Path) -> None:
    unchanged = judge_sources_in(copy)
    evidence = {
        path.relative_to(copy).as_posix() for path in copy.glob("matrix/probes/evidence/*.py")
    }
    for name in sorted(JUDGE | evidence):
        before = changed(copy / name)
        assert judge_sources_in(copy) != unchanged, name
        (copy / name).write_text(before, encoding="utf-8")


def test_a_change_in_a_decoder_judges_again_and_keeps_the_captures(copy: Path) -> None:
    unchanged, judged = cell_sources_in(copy), judge_sources_in(copy)
    for name in ("agent/observations.py", "probes/evidence/spans.py"):
        path = copy / "matrix" / name
        before = changed(path)
        assert cell_sources_in(copy) == unchanged, name
        assert judge_sources_in(copy) != judged, name
        path.write_text(before, encoding="utf-8")


def test_what_drives_and_what_judges_is_among_them() -> None:
    assert {
        "matrix/agent/server.py",
        "matrix/cells/session.py",
        "matrix/docker/interface.py",
        "matrix/probes/settings.py",
        "matrix/services/forwarder.py",
        "matrix/system/network.py",
    } <= CELL
    assert {"matrix/judging/gate.py", "matrix/judging/negative_control.py"} <= JUDGE
    assert not {"matrix/judging/parts.py", "matrix/planning/planner.py"} & (CELL | JUDGE)


def test_every_module_that_is_loaded_to_run_a_cell_was_found_by_its_imports() -> None:
    code = (
        f"import sys, {', '.join(CELL_MODULES)};"
        "print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] == 'matrix'))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {Path(path).relative_to(ROOT).as_posix() for path in run.stdout.split()}
    decoders = names(imported_files(DECODERS))
    modules = {name for name in loaded if not name.endswith("/__init__.py")}
    assert len(modules) > 20
    assert modules <= CELL | decoders | {"matrix/probes/evidence/combine.py"}


def test_the_imports_that_are_found_are_those_that_python_sees() -> None:
    """Texts may look like imports of ours, too; then one more file has a part in a key."""
    found, only_texts = 0, 0
    for path in sorted((ROOT / "matrix").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parsed = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                parsed |= {item.name for item in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                for item in node.names:
                    inner = f"{node.module}.{item.name}"
                    is_module = (ROOT / inner.replace(".", "/")).with_suffix(".py").is_file()
                    is_package = (ROOT / inner.replace(".", "/")).is_dir()
                    parsed.add(inner if is_module or is_package else node.module)
        ours = {name for name in parsed if name.split(".")[0] == "matrix"}
        read = set(read_imports(path, ROOT))
        assert ours <= read, path
        found, only_texts = found + len(ours), only_texts + len(read - ours)
    assert found > 1000
    assert only_texts < 3


def test_imports_of_several_lines_with_comments_and_other_names_are_found(tmp_path: Path) -> None:
    package = tmp_path / "matrix"
    package.mkdir()
    for name in ("a", "b", "c", "d", "e"):
        (package / f"{name}.py").touch()
    (package / "main.py").write_text(
        "import matrix.a, matrix.b as other  # (matrix.e)\n"
        "def later():\n"
        "    from matrix import (  # noqa: (this) - that\n"
        "        c as see,  # c)\n"
        "        # e,\n"
        "    )\n"
        "    from matrix.d import value, another  # e\n"
        "    from matrixes import e\n"
    )
    files = imported_files(["matrix.main"], root=tmp_path)
    assert [path.stem for path in files] == ["a", "b", "c", "d", "main"]


def test_a_library_s_own_files_are_its_module_and_those_that_it_imports(tmp_path: Path) -> None:
    (tmp_path / "paper.py").write_text("import paper\n")
    (tmp_path / "press.py").write_text("import press\n\nfrom libraries import paper\n")
    assert library_files(tmp_path / "paper.py") == [tmp_path / "paper.py"]
    assert library_files(tmp_path / "press.py") == [tmp_path / "press.py", tmp_path / "paper.py"]
