"""The project's own source files: what a module imports, and digests that identify a version."""

from __future__ import annotations

import functools
import hashlib
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from matrix.system.paths import apps_dir, fixtures_dir, project_root

_PACKAGE = "matrix"
_SKIPPED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@functools.cache
def project_version() -> str:
    """Return the digest of all files of the project except tests, as they were at the first call.

    Machines that share a run must have equal ones: what they send each other consists of our
    classes, and a cell's result depends on nearly every file.
    """
    return digest_files((project_root() / _PACKAGE, apps_dir(), fixtures_dir()))


def digest_files(roots: Iterable[Path]) -> str:
    """Return the sha256 over names and contents of files, and of all files below folders.

    Line ends count as LF, so that a checkout on Windows has the same digest.
    """
    total = hashlib.sha256()
    for root in roots:
        for path in _files_below(root):
            content = path.read_bytes().replace(b"\r\n", b"\n")
            name = path.relative_to(root.parent).as_posix()
            total.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return total.hexdigest()


def imported_files(
    modules: Iterable[str], stop: Iterable[str] = (), root: Path | None = None
) -> list[Path]:
    """Return the files of modules and of all modules of ours that they import, sorted.

    Imports inside functions count, too. `stop` are dotted names of modules, or of packages with all
    that is in them, which are neither followed nor returned. `root` is the project's folder.
    Raises FileNotFoundError for a module that does not exist.
    """
    root = root or project_root()
    stops = tuple(stop)
    done: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module in done or any(module == name or module.startswith(f"{name}.") for name in stops):
            continue
        done.add(module)
        waiting += read_imports(_module_file(root, module), root)
    # By the parts' text: Windows orders paths differently, which would change a digest.
    return sorted((_module_file(root, module) for module in done), key=lambda path: path.parts)


def _files_below(root: Path) -> list[Path]:
    if root.is_file():
        return [root]
    files = (
        path
        for path in root.rglob("*")
        if path.is_file() and _SKIPPED.isdisjoint(path.parts) and path.suffix != ".pyc"
    )
    # By the parts' text: Windows orders paths differently, which would change the digest.
    return sorted(files, key=lambda path: path.parts)


def _module_file(root: Path, module: str) -> Path:
    path = root.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


# A statement of imports of ours at the beginning of a line. Parsing all modules takes 0.2 s.
_IMPORT = re.compile(
    rf"^[ \t]*(?:from[ \t]+(?P<package>{_PACKAGE}(?:\.\w+)*)[ \t]+import[ \t]+"
    r"(?:\((?P<several>(?:[^()#]|#.*)*)\)|(?P<names>\w.*))"
    rf"|import[ \t]+(?P<modules>{_PACKAGE}\b.*))",
    re.MULTILINE,
)
_COMMENT = re.compile(r"#.*")


@functools.cache
def read_imports(path: Path, root: Path) -> list[str]:
    """Return the modules of ours that a file imports, also where a docstring only looks like it."""
    names = []
    for match in _IMPORT.finditer(path.read_text(encoding="utf-8")):
        if package := match["package"]:
            for item in _words(match["several"] or match["names"]):
                inner = f"{package}.{item}"
                names.append(inner if _module_file(root, inner).is_file() else package)
        else:
            names += _words(match["modules"])
    return names


def _words(names: str) -> list[str]:
    """Return the names in a list of imports, without those that they are bound to."""
    items = _COMMENT.sub("", names).split(",")
    return [item.split()[0] for item in items if item.strip()]


def plugins(package: ModuleType, attribute: str) -> Iterator[tuple[str, Any]]:
    """Yield each module's name with its value of `attribute`, sorted by name.

    Raises AttributeError for a module without it: a plug-in folder holds plug-ins only.
    """
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        yield name, getattr(importlib.import_module(f"{package.__name__}.{name}"), attribute)
