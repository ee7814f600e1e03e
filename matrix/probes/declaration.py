"""A library's module, read without importing it: its literals, and which functions it has."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from matrix.errors import did_you_mean, nearest

__all__ = ["DeclarationError", "DeclaredSpan", "Integration", "parse"]

_FUNCTIONS = ("call", "fail", "patch", "prepare")
_SPAN_KEYS = ("name", "component", "resource", "type", "tags", "trace")


@dataclasses.dataclass(frozen=True)
class DeclaredSpan:
    """A span that is due, by shell globs: any of `names`, and all of the rest.

    `own` is whether it has a trace of its own, and names the request in its resource.
    """

    names: tuple[str, ...]
    component: str = ""
    resource: str = "*"
    type: str = "*"
    tags: tuple[tuple[str, str], ...] = ()
    own: bool = False


@dataclasses.dataclass(frozen=True)
class Integration:
    """What one module declares.

    `distribution` is the index's name, "" for a part of the standard library; `integration` the
    tracer's. `pythons` and `also` are pairs whose first is a specifier of the library's versions:
    the first that holds says on which CPythons those run, all that hold what is installed along.
    `service` is the back end, "" where none is needed. `spans` are all due for the call, `error`
    for the call that fails; `log` is the key under which a log record tells its trace. `explicit`
    is whether the module can ask for its tracing in code. `packages` are those of Debian that a
    build from source takes.
    """

    slug: str
    distribution: str
    integration: str
    service: str
    spans: tuple[DeclaredSpan, ...]
    error: DeclaredSpan | None
    log: str
    explicit: bool
    pythons: tuple[tuple[SpecifierSet, SpecifierSet], ...]
    also: tuple[tuple[SpecifierSet, str], ...]
    packages: tuple[str, ...]

    def named_pythons(self, version: str) -> SpecifierSet | None:
        """Return the CPythons that the module names for a version, None where it names none."""
        for versions, pythons in self.pythons:
            if versions.contains(version, prereleases=True):
                return pythons
        return None

    def companions(self, version: str, python: str, *, era: bool = True) -> tuple[str, ...]:
        """Return what is installed along with a version on a CPython, without markers.

        Those for named versions are of their era; without `era` only those for every version.
        """
        found: dict[str, Requirement] = {}
        for versions, text in self.also:
            if versions and not era:
                continue
            wanted = Requirement(text)
            if versions.contains(version, prereleases=True) and _holds(wanted.marker, python):
                # Old installers refuse a name that is given twice.
                known = found.setdefault(str(canonicalize_name(wanted.name)), wanted)
                known.specifier &= wanted.specifier
                known.extras |= wanted.extras
                known.marker = None
        return tuple(map(str, found.values()))


class DeclarationError(Exception):
    """A module that does not say what it must; `problems` are all of them, with lines."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse(slug: str, text: str) -> Integration:
    """Return what the module's text declares; raise `DeclarationError` with all its problems."""
    return _Reader(slug).read(text)


def _holds(marker: Marker | None, python: str) -> bool:
    return marker is None or marker.evaluate(
        {"python_version": python, "python_full_version": f"{python}.99"}
    )


@dataclasses.dataclass
class _Reader:
    slug: str
    problems: list[str] = dataclasses.field(default_factory=list)
    literals: dict[str, tuple[int, Any]] = dataclasses.field(default_factory=dict)

    def read(self, text: str) -> Integration:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError) as error:
            raise DeclarationError((f"{self.slug}: no Python: {error}",)) from None
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        self.collect(tree)
        known: dict[str, Callable[[Any], Any]] = {
            "DISTRIBUTION": _text,
            "INTEGRATION": _text,
            "SERVICE": _text,
            "SPAN": _spans,
            "ERROR_SPAN": _span,
            "LOG": _text,
            "PYTHON": _pythons,
            "ALSO": _also,
            "PACKAGES": _texts,
        }
        found = {name: self.value(name, read) for name, read in known.items()}
        self.check(known, functions, found)
        if self.problems:
            raise DeclarationError(tuple(sorted(self.problems)))
        return Integration(
            slug=self.slug,
            distribution=found["DISTRIBUTION"],
            integration=found["INTEGRATION"],
            service=found["SERVICE"],
            spans=found["SPAN"] or (),
            error=found["ERROR_SPAN"],
            log=found["LOG"] or "",
            explicit="patch" in functions,
            pythons=found["PYTHON"] or (),
            also=found["ALSO"] or (),
            packages=found["PACKAGES"] or (),
        )

    def say(self, line: int, problem: str) -> None:
        self.problems.append(f"{self.slug}:{line}: {problem}")

    def collect(self, tree: ast.Module) -> None:
        """Keep the upper-case names of the module that are literals."""
        for node in tree.body:
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                if not (isinstance(target, ast.Name) and target.id.isupper()):
                    continue
                if target.id in self.literals:
                    self.say(node.lineno, f"{target.id} is said twice")
                try:
                    value = ast.literal_eval(node.value)
                except ValueError:
                    value = None
                self.literals[target.id] = (node.lineno, value)

    def value(self, name: str, read: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - by its reader
        if name not in self.literals:
            return None
        line, value = self.literals[name]
        try:
            return read(value)
        except (ValueError, InvalidSpecifier, InvalidRequirement) as error:
            self.say(line, f"{name}: {str(error).splitlines()[0]}")
            return None

    def check(
        self, known: Mapping[str, object], functions: set[str], found: Mapping[str, Any]
    ) -> None:
        for problem in self.missing(functions, found):
            self.say(1, problem)
        for name, (line, _) in self.literals.items():
            hint = did_you_mean(name, known)
            if name not in known and hint:
                self.say(line, f"unknown name {name!r}{hint}")
        for name in functions.difference(_FUNCTIONS):
            if (choice := nearest(name, _FUNCTIONS)) and choice not in functions:
                self.say(1, f"unknown function {name!r}{did_you_mean(name, _FUNCTIONS)}")

    def missing(self, functions: set[str], found: Mapping[str, Any]) -> Iterator[str]:
        for name in ("DISTRIBUTION", "INTEGRATION", "SERVICE"):
            if name not in self.literals:
                yield f"{name} is missing"
        if ("SPAN" in self.literals) == ("LOG" in self.literals):
            yield "either SPAN or LOG says what must show"
        if found["LOG"] == "":
            yield "LOG names no key"
        if "call" not in functions:
            yield "there is no function call(place)"
        if ("ERROR_SPAN" in self.literals) != ("fail" in functions):
            yield "ERROR_SPAN and the function fail(place) go together"


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a text")  # noqa: TRY004 - all problems are told alike
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("not a list of texts")  # noqa: TRY004
    return tuple(_text(each) for each in value)


def _pairs(value: object) -> list[tuple[str, str]]:
    if not isinstance(value, list):
        raise ValueError("not a list of pairs")  # noqa: TRY004
    pairs = []
    for each in value:
        if not (isinstance(each, list | tuple) and len(each) == 2):  # noqa: PLR2004 - a pair
            raise ValueError(f"{each!r} is no pair")
        pairs.append((_text(each[0]), _text(each[1])))
    return pairs


def _pythons(value: object) -> tuple[tuple[SpecifierSet, SpecifierSet], ...]:
    pairs = [("", value)] if isinstance(value, str) else _pairs(value)
    return tuple((SpecifierSet(versions), SpecifierSet(pythons)) for versions, pythons in pairs)


def _also(value: object) -> tuple[tuple[SpecifierSet, str], ...]:
    return tuple(
        (SpecifierSet(versions), str(Requirement(text))) for versions, text in _pairs(value)
    )


def _spans(value: object) -> tuple[DeclaredSpan, ...]:
    if not isinstance(value, list):
        return (_span(value),)
    if not value:
        raise ValueError("an empty list of spans")
    return tuple(_span(each) for each in value)


def _span(value: object) -> DeclaredSpan:
    if not isinstance(value, dict):
        raise ValueError("not a dict")  # noqa: TRY004
    for key in value:
        if key not in _SPAN_KEYS:
            raise ValueError(f"unknown key {key!r}{did_you_mean(str(key), _SPAN_KEYS)}")
    names = value.get("name", ())
    names = (names,) if isinstance(names, str) else _texts(names or None)
    tags = value.get("tags", {})
    if not isinstance(tags, dict):
        raise ValueError("tags are no dict")  # noqa: TRY004
    if value.get("trace", "own") != "own":
        raise ValueError("trace: 'own', or not said")
    return DeclaredSpan(
        names=names,
        component=_text(value.get("component", "")),
        resource=_text(value.get("resource", "*")),
        type=_text(value.get("type", "*")),
        tags=tuple((_text(key), _text(tag)) for key, tag in tags.items()),
        own="trace" in value,
    )
