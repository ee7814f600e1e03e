"""What a wheel's Python files import, against what is there: in the wheel, in CPython, required."""

from __future__ import annotations

import fnmatch
import functools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from matrix.artifacts.metadata import required_on
from matrix.artifacts.sources import Module, When
from matrix.audit.artifacts_modules import modules_of
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


def missing_modules(looked: Looked, needs: Mapping[str, Any]) -> Iterator[Seen]:
    """Yield what the wheel's files import of its own package that is not there.

    Wherever it stands: what is imported in a function breaks when that is called. Only an import
    whose failure is caught is let be, and one that cannot be told apart from it. What is imported
    at the tracer's start whatever happens is of a kind of its own.
    """
    modules = modules_of(looked.contents)
    start = modules.reached(tuple(needs["start"]["modules"]))
    for name, each, lacking in modules.lacking:
        if _among(name, needs["copied"]["modules"]):
            continue
        always = each.when is When.ALWAYS
        how = "" if always else " under a condition"
        said = f"{name} imports {lacking}{how}, which is not in the package"
        kind = FindingKind.MODULE_MISSING_LATER
        if always and name in start:
            kind = FindingKind.MODULE_MISSING
        yield Seen(kind, f"module/{lacking}", said, modules.sources[name].path, each.line)


def undeclared_imports(looked: Looked, needs: Mapping[str, Any]) -> Iterator[Seen]:
    """Yield the modules that starting the tracer or a capability imports and that neither CPython
    nor a requirement brings; with the way that leads there.
    """
    platform, python = looked.platform, looked.python
    if platform is None or not python:
        return
    modules = modules_of(looked.contents)
    required = {
        each.project for each in required_on(looked.contents.metadata, platform.markers(python))
    }
    start = (*needs["start"]["modules"], *needs["start"]["switched"])
    there = standard_library(python) | modules.tops | _brought(required, needs["modules"])
    for name, way in modules.reached(start).items():
        if _among(name, [*needs["on-demand"]["modules"], *needs["copied"]["modules"]]):
            continue
        module = modules.sources[name]
        for each in module.imports:
            top = each.module.partition(".")[0]
            if each.when is not When.ALWAYS or top in there:
                continue
            if python.startswith("2") and _beside(name, module, top) in modules.known:
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
