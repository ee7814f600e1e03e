"""Problems of a wheel's imports and requirements.

Imports are compared with the modules of the wheel, of CPython and of the requirements; requirements
are compared with the package index. The modules of a wheel are cached by its Python files and the
names of its extension modules, which most wheels of a release share.
"""

from __future__ import annotations

import collections
import dataclasses
import fnmatch
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from packaging.tags import Tag, parse_tag

from matrix.errors import IndexUnavailableError
from matrix.features.audit.findings import FindingKind
from matrix.features.audit.wheel_platforms import InspectedWheel, WheelPlatform, WheelProblem
from matrix.pypi.imports import Import, ImportCondition, ModuleImports, module_name
from matrix.pypi.index import Index
from matrix.pypi.releases import Release, Releases, python_key
from matrix.pypi.tags import supported_tags
from matrix.pypi.wheel_contents import WheelContents, WheelRequirement, requirements_on
from matrix.system.data_files import read_data

_EXTENSIONS = (".so", ".pyd")


@dataclasses.dataclass(frozen=True, eq=False)
class WheelModules:
    """The modules of a wheel by name, and how they import each other.

    `sources` are modules with source, `native` extension modules, `names` all names including
    packages, and `top_level` the top-level names.
    """

    sources: Mapping[str, ModuleImports]
    names: frozenset[str]
    native: frozenset[str]
    top_level: frozenset[str]

    @functools.cached_property
    def missing(self) -> tuple[tuple[str, Import, str], ...]:
        """Return (importing module, import, missing name) of imports that the wheel lacks.

        Imports whose failure is (or may be) caught are skipped.
        """
        missing = []
        missing_name = functools.cache(self._missing)
        for name, module in sorted(self.sources.items()):
            for statement in module.imports:
                if statement.condition is ImportCondition.GUARDED or not (
                    module.exact or statement.condition is ImportCondition.ALWAYS
                ):
                    continue
                if lacking := missing_name(statement.module, statement.name):
                    missing.append((name, statement, lacking))
        return tuple(missing)

    @functools.lru_cache(maxsize=32)  # noqa: B019 - bounded; two starts of a few wheels
    def reached(self, start: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        """Return the modules that `start` always imports, each with its chain of imports."""
        chains: dict[str, tuple[str, ...]] = {}
        queue = collections.deque[tuple[str, tuple[str, ...]]]((name, ()) for name in start)
        while queue:
            name, chain = queue.popleft()
            if name in chains:
                continue
            for part in _parts(name):
                if part not in chains and part in self.sources:
                    chains[part] = (*chain, part)
                    queue += [(imported, chains[part]) for imported in self._imported(part)]
        return chains

    def _imported(self, name: str) -> Iterator[str]:
        for statement in self.sources[name].imports:
            if statement.condition is ImportCondition.ALWAYS:
                yield self._submodule(statement.module, statement.name) or statement.module

    def _submodule(self, package: str, name: str) -> str:
        """Return the module that `from package import name` imports, "" for another name."""
        submodule = f"{package}.{name}"
        return submodule if name and submodule in self.names else ""

    def _missing(self, package: str, name: str) -> str:
        """Return the name that an import cannot find in the wheel, "" if there is none."""
        if package.partition(".")[0] not in self.top_level:
            return ""
        for part in _parts(package):
            if part not in self.names:
                return part
            if part in self.native:
                return ""  # an extension module may define submodules
        if not name or name == "*" or self._submodule(package, name):
            return ""
        module = self.sources.get(package)
        if module is None or module.names is None or name in module.names:
            return ""
        # Names such as `__path__` and `__file__` are bound by the import itself.
        return "" if name.startswith("__") else f"{package}.{name}"


@dataclasses.dataclass(frozen=True)
class _Key:
    sources: str
    native: frozenset[str]
    contents: WheelContents = dataclasses.field(compare=False)


def _wheel_modules(contents: WheelContents) -> WheelModules:
    native = set()
    for path in contents.names:
        if path.endswith(_EXTENSIONS):
            folder, _, name = path.rpartition("/")
            native.add(f"{folder}/{name.partition('.')[0]}".replace("/", ".").lstrip("."))
    return _modules(_Key(contents.sources, frozenset(native), contents))


@functools.lru_cache(maxsize=16)
def _modules(key: _Key) -> WheelModules:
    sources = {
        module_name(module.path): module
        for module in key.contents.modules
        if not module.path.partition("/")[0].endswith((".dist-info", ".data"))
    }
    names = {part for name in (*sources, *key.native) for part in _parts(name)}
    top_level = frozenset(name.partition(".")[0] for name in names)
    return WheelModules(sources, frozenset(names), key.native, top_level)


@functools.lru_cache(maxsize=16384)
def _parts(name: str) -> tuple[str, ...]:
    """Return `a`, `a.b`, `a.b.c` for `a.b.c`, which are all imported with it."""
    parts = name.split(".")
    return tuple(".".join(parts[:count]) for count in range(1, len(parts) + 1))


@functools.cache
def standard_library(python: str) -> frozenset[str]:
    """Return the top-level modules of a CPython's standard library, on any operating system."""
    data = read_data("stdlib")
    if python.startswith("2"):
        return frozenset(data["two"])
    names = set(data["three"])
    for since, added in data["since"].items():
        if python_key(since) > python_key(python):
            names -= set(added)
    for until, removed in data["until"].items():
        if python_key(until) < python_key(python):
            names -= set(removed)
    return frozenset(names)


def import_problems(wheel: InspectedWheel) -> Iterator[WheelProblem]:
    """Yield the imports that neither the wheel nor its requirements and CPython provide."""
    modules = _wheel_modules(wheel.contents)
    yield from _missing_modules(modules)
    platform, python = wheel.platform, wheel.python
    if platform is not None and python:
        required = requirements_on(wheel.contents.metadata, platform.markers(python))
        yield from _undeclared_imports(modules, python, required)


def _missing_modules(modules: WheelModules) -> Iterator[WheelProblem]:
    """Yield the imports of modules that are missing in the wheel's own package.

    Imports in functions count, because they fail when the function is called; imports whose failure
    is (or may be) caught do not. Imports that the tracer always executes on start have their own
    kind of finding.
    """
    needs = read_data("artifacts")
    start = modules.reached(tuple(needs["start"]["modules"]))
    for name, statement, missing in modules.missing:
        if _matches(name, needs["copied"]["modules"]):
            continue
        always = statement.condition is ImportCondition.ALWAYS
        condition = "" if always else " under a condition"
        says = f"{name} imports {missing}{condition}, which is not in the package"
        kind = FindingKind.MODULE_MISSING_LATER
        if always and name in start:
            kind = FindingKind.MODULE_MISSING
        yield WheelProblem(
            kind, f"module/{missing}", says, modules.sources[name].path, statement.line
        )


def _undeclared_imports(
    modules: WheelModules, python: str, required: Iterable[WheelRequirement]
) -> Iterator[WheelProblem]:
    """Yield imports on start of the tracer or a capability that no requirement and CPython provide.

    Each has the chain of imports that leads there.
    """
    needs = read_data("artifacts")
    start = (*needs["start"]["modules"], *needs["start"]["switched"])
    available = {*standard_library(python), *modules.top_level}
    for requirement in required:
        project = requirement.project
        available.update(needs["modules"].get(project, [project.replace("-", "_")]))
    for name, chain in modules.reached(start).items():
        if _matches(name, [*needs["on-demand"]["modules"], *needs["copied"]["modules"]]):
            continue
        module = modules.sources[name]
        package = name if module.path.endswith("/__init__.py") else name.rpartition(".")[0]
        for statement in module.imports:
            top = statement.module.partition(".")[0]
            if statement.condition is not ImportCondition.ALWAYS or top in available:
                continue
            # `import top` of Python 2 tries a sibling module first.
            if python.startswith("2") and f"{package}.{top}" in modules.names:
                continue
            chain_text = " > ".join(chain)
            says = f"{chain_text} imports {statement.module}, which no requirement provides"
            yield WheelProblem(
                FindingKind.IMPORT_UNDECLARED, f"module/{top}", says, module.path, statement.line
            )


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, glob) for glob in globs)


class RequirementChecker:
    """Compares requirements with the index; `unavailable` are errors of the index by project."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.unavailable: dict[str, str] = {}
        self._releases: Callable[[str], Releases | None] = functools.cache(self._fetch)
        self._reason: Callable[[str, str, str, WheelPlatform], str] = functools.cache(self._find)

    def unmet(self, wheel: InspectedWheel) -> Iterator[WheelProblem]:
        """Yield the requirements of a wheel that are invalid or that no release fulfils."""
        platform, python = wheel.platform, wheel.python
        for line in wheel.contents.metadata.odd:
            says = f"requires {line!r}, which current installers do not understand"
            yield WheelProblem(
                FindingKind.REQUIREMENT_UNREADABLE, f"requirement/{line}", says, "METADATA"
            )
        if platform is None or not python:
            return
        for requirement in requirements_on(wheel.contents.metadata, platform.markers(python)):
            name = requirement.project
            if reason := self._reason(name, requirement.specifier, python, platform):
                says = f"requires {requirement.as_written}: {reason}"
                subject = f"requirement/{name}"
                yield WheelProblem(FindingKind.REQUIREMENT_UNMET, subject, says, "METADATA")

    def _fetch(self, project: str) -> Releases | None:
        try:
            return Releases(self._index.project(project))
        except IndexUnavailableError as error:
            self.unavailable[project] = error.message
            return None

    def _find(self, name: str, specifier: str, python: str, platform: WheelPlatform) -> str:
        """Return why no release on the index fulfils a requirement, "" if one does."""
        project = self._releases(name)
        if project is None:
            return ""
        releases = project.matching(specifier)
        if not releases:
            return "the index has no such release"
        for machine in platform.machines:
            tags = _tags(python, platform, machine)
            if not any(_installs(release, python, tags) for release in releases):
                return f"no release of it installs on CPython {python} on {platform.text}"
        return ""


@functools.cache
def _tags(python: str, platform: WheelPlatform, machine: str) -> frozenset[Tag]:
    if platform.format == "mach-o":
        cpu = "arm64" if machine == "aarch64" else machine
        return frozenset(supported_tags(python, f"macosx_{cpu}"))
    target = platform.text.partition(" ")[0]
    return frozenset(supported_tags(python, target, platform.libc))


def _installs(release: Release, python: str, tags: frozenset[Tag]) -> bool:
    """Return whether a release has a wheel for these tags, or a source distribution."""
    if not release.accepts_python(python):
        return False
    return any(
        not file.tags or not tags.isdisjoint(parse_tag(file.tags))
        for file in release.release.files
        if not file.yanked
    )
