"""The modules of a wheel and how they import each other.

Wheels of one release have most of it in common, so the last few are remembered, by all that
matters here: their Python files and the names of their extension modules.
"""

from __future__ import annotations

import collections
import dataclasses
import functools
from collections.abc import Iterator, Mapping

from matrix.artifacts.contents import Contents
from matrix.artifacts.sources import Import, Module, When, module_name

__all__ = ["Modules", "modules_of"]

_EXTENSIONS = (".so", ".pyd")


@dataclasses.dataclass(frozen=True, eq=False)
class Modules:
    """`sources` are the modules with source by name, `known` all names, packages included.

    `native` are extension modules, `tops` the first parts of all names.
    """

    sources: Mapping[str, Module]
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
                if each.when is When.GUARDED or not (module.exact or each.when is When.ALWAYS):
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
            if each.when is When.ALWAYS:
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
    contents: Contents = dataclasses.field(compare=False)


def modules_of(contents: Contents) -> Modules:
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
