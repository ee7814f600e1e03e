"""Source files of the project that a module is made of: its own imports, followed to their end."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from pathlib import Path

from matrix.system.paths import project_root

__all__ = ["imported_files"]

_PACKAGE = "matrix"


def imported_files(modules: Iterable[str], stop: Iterable[str] = ()) -> list[Path]:
    """Return the files of the modules and of all of ours that they import, sorted.

    Imports inside functions count, too. `stop` are dotted names of modules, or of packages with all
    that is in them, which are not followed and not returned. Raises FileNotFoundError for a module
    that does not exist.
    """
    stops = tuple(stop)
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in found or any(
            module == name or module.startswith(f"{name}.") for name in stops
        ):
            continue
        found.add(module)
        waiting += _imports(_path(module))
    return sorted(map(_path, found))


def _path(module: str) -> Path:
    path = project_root().joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    return tuple(_imported(ast.parse(path.read_text(encoding="utf-8"))))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name.split(".")[0] == _PACKAGE)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == _PACKAGE:
            for item in node.names:
                inner = f"{node.module}.{item.name}"
                yield inner if _path(inner).is_file() else str(node.module)
