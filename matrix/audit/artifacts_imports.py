"""What a wheel's Python files import, against what is there: in the wheel, in CPython, required."""

from __future__ import annotations

import dataclasses
import fnmatch
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.artifacts.contents import Contents
from matrix.artifacts.metadata import required_on
from matrix.artifacts.sources import Import, Module, When, module_name
from matrix.audit.artifacts_seen import Looked, Seen
from matrix.audit.finding import FindingKind
from matrix.planning.data import read_data
from matrix.planning.shelf import python_key

__all__ = ["missing_modules", "standard_library", "undeclared_imports"]


@functools.cache
def standard_library(python: str) -> frozenset[str]:
    """Return the top-level modules of a CPython's standard library, on any operating system."""
    data = read_data("stdlib")
    if python.startswith("2"):
        return frozenset(data["two"])
    names = set(data["three"])
    for since, later in data["since"].items():
        if python_key(since) > python_key(python):
            names -= set(later)
    for until, gone in data["until"].items():
        if python_key(until) < python_key(python):
            names -= set(gone)
    return frozenset(names)


@dataclasses.dataclass(frozen=True)
class _Inside:
    """The modules of a wheel: those with source by name, all names, native ones, the top ones."""

    modules: Mapping[str, Module]
    known: frozenset[str]
    native: frozenset[str]
    tops: frozenset[str]

    def submodule(self, each: Import) -> str:
        """Return the module that `from package import name` names, "" where it names none."""
        name = f"{each.module}.{each.name}"
        return name if each.name and name in self.known else ""


def _inside(contents: Contents) -> _Inside:
    modules = {module_name(module.path): module for module in contents.modules}
    known: set[str] = set(modules)
    native: set[str] = set()
    for path in contents.names:
        folder, _, name = path.rpartition("/")
        if folder.partition("/")[0].endswith((".dist-info", ".data")):
            continue
        if name.endswith((".so", ".pyd")):
            native.add(f"{folder}/{name.partition('.')[0]}".replace("/", ".").lstrip("."))
        parts = folder.split("/") if folder and name.endswith((".py", ".so", ".pyd")) else []
        known.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    known |= native
    tops = frozenset(name.partition(".")[0] for name in known)
    return _Inside(modules, frozenset(known), frozenset(native), tops)


def missing_modules(looked: Looked, needs: Mapping[str, Any]) -> Iterator[Seen]:
    """Yield what the wheel's files import of its own package that is not there.

    Wherever it stands: what is imported in a function breaks when that is called. Only an import
    whose failure is caught is let be, and one that cannot be told apart from it. What is imported
    at the tracer's start whatever happens is of a kind of its own.
    """
    inside = _inside(looked.contents)
    start = _reached(inside, needs["start"]["modules"])
    for name, module in sorted(inside.modules.items()):
        if _among(name, needs["copied"]["modules"]):
            continue
        for each in module.imports:
            if each.when is When.GUARDED or (not module.exact and each.when is not When.ALWAYS):
                continue
            lacking = _lacking(each, inside)
            if lacking:
                always = each.when is When.ALWAYS
                how = "" if always else " under a condition"
                said = f"{name} imports {lacking}{how}, which is not in the package"
                kind = FindingKind.MODULE_MISSING_LATER
                if always and name in start:
                    kind = FindingKind.MODULE_MISSING
                yield Seen(kind, f"module/{lacking}", said, module.path, each.line)


def _lacking(each: Import, inside: _Inside) -> str:
    if each.module.partition(".")[0] not in inside.tops:
        return ""
    parts = each.module.split(".")
    for count in range(1, len(parts) + 1):
        part = ".".join(parts[:count])
        if part not in inside.known:
            return part
        if part in inside.native:
            return ""  # an extension module may bring modules of its own
    module = inside.modules.get(each.module)
    if not each.name or each.name == "*" or inside.submodule(each):
        return ""
    if module is None or module.names is None or each.name in module.names:
        return ""
    # `__path__`, `__file__` and their like are bound by the import itself.
    return "" if each.name.startswith("__") else f"{each.module}.{each.name}"


def undeclared_imports(looked: Looked, needs: Mapping[str, Any]) -> Iterator[Seen]:
    """Yield the modules that starting the tracer or a capability imports and that neither CPython
    nor a requirement brings; with the way that leads there.
    """
    platform, python = looked.platform, looked.python
    if platform is None or not python:
        return
    inside = _inside(looked.contents)
    required = {
        each.project for each in required_on(looked.contents.metadata, platform.markers(python))
    }
    start = [*needs["start"]["modules"], *needs["start"]["switched"]]
    there = standard_library(python) | inside.tops | _brought(required, needs["modules"])
    for name, way in _reached(inside, start).items():
        if _among(name, [*needs["on-demand"]["modules"], *needs["copied"]["modules"]]):
            continue
        module = inside.modules[name]
        for each in module.imports:
            top = each.module.partition(".")[0]
            if each.when is not When.ALWAYS or top in there:
                continue
            if python.startswith("2") and _beside(name, module, top) in inside.known:
                continue
            said = f"{' > '.join(way)} imports {each.module}, which no requirement brings"
            yield Seen(FindingKind.IMPORT_UNDECLARED, f"module/{top}", said, module.path, each.line)


def _among(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, glob) for glob in globs)


def _brought(required: set[str], modules: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the top-level modules of these projects."""
    found: set[str] = set()
    for project in required:
        found.update(modules.get(project, [project.replace("-", "_")]))
    return frozenset(found)


def _beside(name: str, module: Module, top: str) -> str:
    """Return what `import top` means in a module of Python 2, which looks beside itself first."""
    home = name if module.path.endswith("/__init__.py") else name.rpartition(".")[0]
    return f"{home}.{top}"


def _reached(inside: _Inside, start: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the modules that importing `start` imports whatever happens, each with a way to it."""
    ways: dict[str, tuple[str, ...]] = {}
    queue: list[tuple[str, tuple[str, ...]]] = [(name, ()) for name in start]
    while queue:
        name, way = queue.pop(0)
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            part = ".".join(parts[:count])
            if part in ways or part not in inside.modules:
                continue
            ways[part] = (*way, part)
            queue += [
                (inside.submodule(each) or each.module, ways[part])
                for each in inside.modules[part].imports
                if each.when is When.ALWAYS
            ]
    return ways
