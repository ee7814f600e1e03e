"""What a wheel's Python files import, against what is there: in the wheel, in CPython, required.

The modules of a wheel and how they import each other.

Wheels of one release have most of it in common, so the last few are remembered, by all that
matters here: their Python files and the names of their extension modules.

A wheel's requirements against the package index: pins that nothing on it fulfils.
"""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from packaging.tags import Tag, parse_tag

from matrix.errors import IndexUnavailableError
from matrix.features.audit.findings import FindingKind
from matrix.features.audit.wheel_platforms import InspectedWheel, Platform, PlatformMismatch
from matrix.model.index import Project
from matrix.pypi.imports import Import, ImportCondition, ModuleImports, module_name
from matrix.pypi.index import Index
from matrix.pypi.releases import Release, Releases, python_key
from matrix.pypi.tags import supported_tags
from matrix.pypi.wheel_contents import WheelContents, WheelRequirement, requirements_on
from matrix.system.data_files import read_data

__all__ = [
    "Checker",
    "Modules",
    "missing_modules",
    "modules_of",
    "standard_library",
    "undeclared_imports",
]

_EXTENSIONS = (".so", ".pyd")


@dataclasses.dataclass(frozen=True, eq=False)
class Modules:
    """`sources` are the modules with source by name, `known` all names, packages included.

    `native` are extension modules, `tops` the first parts of all names.
    """

    sources: Mapping[str, ModuleImports]
    known: frozenset[str]
    native: frozenset[str]
    tops: frozenset[str]

    @functools.cached_property
    def lacking(self) -> tuple[tuple[str, Import, str], ...]:
        """Return who imports which module of the wheel's own that is not there.

        Only an import whose failure is caught is let be, and one that cannot be told apart from it.
        """
        found = []
        answers: dict[tuple[str, str], str] = {}
        for name, module in sorted(self.sources.items()):
            for each in module.imports:
                if each.when is ImportCondition.GUARDED or not (
                    module.exact or each.when is ImportCondition.ALWAYS
                ):
                    continue
                key = (each.module, each.name)
                if key not in answers:
                    answers[key] = self._lacking(each)
                if answers[key]:
                    found.append((name, each, answers[key]))
        return tuple(found)

    @functools.lru_cache(maxsize=32)  # noqa: B019 - bounded, and for two starts of a few wheels
    def reached(self, start: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        """Return the modules that importing `start` imports whatever happens, each with a way."""
        ways: dict[str, tuple[str, ...]] = {}
        queue = collections.deque[tuple[str, tuple[str, ...]]]((name, ()) for name in start)
        while queue:
            name, way = queue.popleft()
            if name in ways:
                continue
            for part in _parts(name):
                if part not in ways and part in self.sources:
                    ways[part] = (*way, part)
                    queue += [(each, ways[part]) for each in self._imported(part)]
        return ways

    def _imported(self, name: str) -> Iterator[str]:
        for each in self.sources[name].imports:
            if each.when is ImportCondition.ALWAYS:
                yield self._submodule(each) or each.module

    def _submodule(self, each: Import) -> str:
        """Return the module that `from package import name` names, "" where it names none."""
        name = f"{each.module}.{each.name}"
        return name if each.name and name in self.known else ""

    def _lacking(self, each: Import) -> str:
        if each.module.partition(".")[0] not in self.tops:
            return ""
        for part in _parts(each.module):
            if part not in self.known:
                return part
            if part in self.native:
                return ""  # an extension module may bring modules of its own
        module = self.sources.get(each.module)
        if not each.name or each.name == "*" or self._submodule(each):
            return ""
        if module is None or module.names is None or each.name in module.names:
            return ""
        # `__path__`, `__file__` and their like are bound by the import itself.
        return "" if each.name.startswith("__") else f"{each.module}.{each.name}"


@dataclasses.dataclass(frozen=True)
class _Key:
    sources: str
    native: frozenset[str]
    contents: WheelContents = dataclasses.field(compare=False)


def modules_of(contents: WheelContents) -> Modules:
    """Return the modules of a wheel."""
    native = set()
    for path in contents.names:
        if path.endswith(_EXTENSIONS):
            folder, _, name = path.rpartition("/")
            native.add(f"{folder}/{name.partition('.')[0]}".replace("/", ".").lstrip("."))
    return _modules(_Key(contents.sources, frozenset(native), contents))


@functools.lru_cache(maxsize=16)
def _modules(key: _Key) -> Modules:
    sources = {
        module_name(module.path): module
        for module in key.contents.modules
        if not module.path.partition("/")[0].endswith((".dist-info", ".data"))
    }
    known = {part for name in (*sources, *key.native) for part in _parts(name)}
    tops = frozenset(name.partition(".")[0] for name in known)
    return Modules(sources, frozenset(known), key.native, tops)


@functools.lru_cache(maxsize=16384)
def _parts(name: str) -> tuple[str, ...]:
    """Return `a`, `a.b`, `a.b.c` of `a.b.c`: importing it imports them all."""
    parts = name.split(".")
    return tuple(".".join(parts[:count]) for count in range(1, len(parts) + 1))


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


def missing_modules(looked: InspectedWheel, needs: Mapping[str, Any]) -> Iterator[PlatformMismatch]:
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
        always = each.when is ImportCondition.ALWAYS
        how = "" if always else " under a condition"
        said = f"{name} imports {lacking}{how}, which is not in the package"
        kind = FindingKind.MODULE_MISSING_LATER
        if always and name in start:
            kind = FindingKind.MODULE_MISSING
        yield PlatformMismatch(
            kind, f"module/{lacking}", said, modules.sources[name].path, each.line
        )


def undeclared_imports(
    looked: InspectedWheel, needs: Mapping[str, Any]
) -> Iterator[PlatformMismatch]:
    """Yield the modules that starting the tracer or a capability imports and that neither CPython
    nor a requirement brings; with the way that leads there.
    """
    platform, python = looked.platform, looked.python
    if platform is None or not python:
        return
    modules = modules_of(looked.contents)
    required = {
        each.project for each in requirements_on(looked.contents.metadata, platform.markers(python))
    }
    start = (*needs["start"]["modules"], *needs["start"]["switched"])
    there = standard_library(python) | modules.tops | _brought(required, needs["modules"])
    for name, way in modules.reached(start).items():
        if _among(name, [*needs["on-demand"]["modules"], *needs["copied"]["modules"]]):
            continue
        module = modules.sources[name]
        for each in module.imports:
            top = each.module.partition(".")[0]
            if each.when is not ImportCondition.ALWAYS or top in there:
                continue
            if python.startswith("2") and _beside(name, module, top) in modules.known:
                continue
            said = f"{' > '.join(way)} imports {each.module}, which no requirement brings"
            yield PlatformMismatch(
                FindingKind.IMPORT_UNDECLARED, f"module/{top}", said, module.path, each.line
            )


def _among(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, glob) for glob in globs)


def _brought(required: set[str], modules: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Return the top-level modules of these projects."""
    found: set[str] = set()
    for project in required:
        found.update(modules.get(project, [project.replace("-", "_")]))
    return frozenset(found)


def _beside(name: str, module: ModuleImports, top: str) -> str:
    """Return what `import top` means in a module of Python 2, which looks beside itself first."""
    home = name if module.path.endswith("/__init__.py") else name.rpartition(".")[0]
    return f"{home}.{top}"


class Checker:
    """Asks the index of each required project once. `silent` are those it gave no answer for."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.silent: dict[str, str] = {}
        self._shelf: Callable[[str], Releases | None] = functools.cache(self._ask)
        self._answers: dict[tuple[str, str, str, str], str] = {}

    def unmet(self, looked: InspectedWheel) -> Iterator[PlatformMismatch]:
        """Yield the requirements of a wheel that cannot be fulfilled or understood."""
        platform, python = looked.platform, looked.python
        for line in looked.contents.metadata.odd:
            said = f"requires {line!r}, which today's installers do not understand"
            yield PlatformMismatch(
                FindingKind.REQUIREMENT_UNREADABLE, f"requirement/{line}", said, "METADATA"
            )
        if platform is None or not python:
            return
        for each in requirements_on(looked.contents.metadata, platform.markers(python)):
            key = (each.project, each.specifier, python, platform.text)
            if key not in self._answers:
                self._answers[key] = self._why_not(each, python, platform)
            if self._answers[key]:
                said = f"requires {each.as_written}: {self._answers[key]}"
                subject = f"requirement/{each.project}"
                yield PlatformMismatch(FindingKind.REQUIREMENT_UNMET, subject, said, "METADATA")

    def _ask(self, project: str) -> Releases | None:
        try:
            found: Project = self._index.project(project)
        except IndexUnavailableError as error:
            self.silent[project] = error.message
            return None
        return Releases(found)

    def _why_not(self, each: WheelRequirement, python: str, platform: Platform) -> str:
        """Return why nothing on the index fulfils a requirement, "" where something does."""
        shelf = self._shelf(each.project)
        if shelf is None:
            return ""
        titles = shelf.matching(each.specifier)
        if not titles:
            return "the index has no such release"
        for machine in platform.machines:
            tags = _tags(python, platform, machine)
            if not any(_installs(title, python, tags) for title in titles):
                return f"no release of it installs on CPython {python} on {platform.text}"
        return ""


@functools.cache
def _tags(python: str, platform: Platform, machine: str) -> frozenset[Tag]:
    if platform.format == "mach-o":
        cpu = "arm64" if machine == "aarch64" else machine
        return frozenset(supported_tags(python, f"macosx_{cpu}"))
    target = platform.text.partition(" ")[0]
    return frozenset(supported_tags(python, target, platform.libc))


def _installs(title: Release, python: str, tags: frozenset[Tag]) -> bool:
    """Return whether a release has a wheel for these tags, or a source distribution."""
    if not title.accepts_python(python):
        return False
    return any(
        not file.tags or not tags.isdisjoint(parse_tag(file.tags))
        for file in title.release.files
        if not file.yanked
    )
