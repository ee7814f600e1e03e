"""Declarations of a module of `apps/libraries/`, parsed from its text.

A module's literals in upper case and the names of its functions make an `Integration`. The modules
are parsed, never imported: their own imports work only inside cells.
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from matrix.errors import did_you_mean
from matrix.probes.distributions import (
    NamedDistribution,
    parse_distributions,
    parse_pairs,
    parse_synonyms,
    pick_distribution,
)

_FUNCTIONS = frozenset({"call", "fail", "patch", "prepare", "wait"})
_SPAN_KEYS = ("name", "component", "resource", "type", "tags", "trace")
_QUERY_KEYS = ("resource", "tags", "without")


@dataclasses.dataclass(frozen=True)
class DeclaredSpan:
    """An expected span, in shell globs: any of `names`, and all of the other fields.

    `own` is whether the span has a trace of its own, with the request named in its resource.
    """

    names: tuple[str, ...]
    component: str = ""
    resource: str = "*"
    type: str = "*"
    tags: tuple[tuple[str, str], ...] = ()
    own: bool = False


@dataclasses.dataclass(frozen=True)
class DeclaredQuery:
    """Declarations about the span of a data store: the query that it must tell.

    `resource` is a shell glob in place of the span's, "" for the same; those of `tags` are added.
    `without` is a value of the call that the tracer does not send, "" where there is none, or where
    removing values is left to the vendor's agent.
    """

    resource: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    without: str = ""


@dataclasses.dataclass(frozen=True)
class Integration:
    """The declarations of one module.

    `module` is the name of its file, with `-` for `_`: that of the slug, or for a distribution with
    cells of its own (`elasticsearch7`) that of the library whose API it has. `distributions` are
    the names on the index by version, none for a part of the standard library; `integration` is the
    tracer's name. `pythons` and `also` are pairs that begin with a specifier of the library's
    versions: of `pythons` the first that matches gives the CPythons, of `also` all that match give
    companion requirements. `service` is the back end, "" for none. `spans` are all expected for the
    function `call`, `error` for `fail`; `log` is the key of a log record that has the trace id.
    `explicit` is whether the module has a `patch` function that enables tracing in code, `fails`
    whether it has a call that fails, `waits` whether it has one that takes a while. `packages` are
    Debian packages that are required to build from source. `synonyms` are other names of rows, each
    with the distribution that it means. `query` is set for a data store. `setting` has the switch
    that the tracer documents for the library, "" for none.
    """

    slug: str
    module: str
    distributions: tuple[NamedDistribution, ...]
    integration: str
    service: str
    spans: tuple[DeclaredSpan, ...]
    error: DeclaredSpan | None
    log: str
    explicit: bool
    fails: bool
    waits: bool
    pythons: tuple[tuple[SpecifierSet, SpecifierSet], ...]
    also: tuple[tuple[SpecifierSet, str], ...]
    packages: tuple[str, ...]
    synonyms: tuple[tuple[str, str], ...] = ()
    query: DeclaredQuery | None = None
    setting: str = ""

    def distribution(self, version: str) -> str:
        """Return the distribution that a version is a release of, "" for the standard library."""
        return pick_distribution(self.distributions, version)

    def only(self, distribution: str) -> Integration:
        """Return the same declarations for the versions of one distribution."""
        named = tuple(item for item in self.distributions if item.name == distribution)
        return dataclasses.replace(self, distributions=named)

    def under(self, name: str, distribution: str) -> Integration:
        """Return the same declarations for a distribution that has cells of its own `name`."""
        named = (NamedDistribution(SpecifierSet(), distribution),)
        return dataclasses.replace(self, slug=name, distributions=named, synonyms=())

    def named_pythons(self, version: str | Version) -> SpecifierSet | None:
        """Return the CPythons declared for a version, None where none are declared."""
        for versions, pythons in self.pythons:
            if versions.contains(version, prereleases=True):
                return pythons
        return None

    def companions(self, version: str, python: str, *, era: bool = True) -> tuple[str, ...]:
        """Return the companion requirements of a version on a CPython, without markers.

        Without `era`, leave out those that are declared for certain versions only.
        """
        requirements: dict[str, Requirement] = {}
        for versions, text in self.also:
            if versions and not era:
                continue
            requirement = Requirement(text)
            if versions.contains(version, prereleases=True) and _applies(
                requirement.marker, python
            ):
                # Old installers refuse a name that is listed twice.
                name = str(canonicalize_name(requirement.name))
                merged = requirements.setdefault(name, requirement)
                merged.specifier &= requirement.specifier
                merged.extras |= requirement.extras
                merged.marker = None
        return tuple(map(str, requirements.values()))


class DeclarationError(Exception):
    """An invalid module; `problems` are all of them, each with its line."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def parse(slug: str, text: str) -> Integration:
    """Parse the text of a module; raise `DeclarationError` with all its problems."""
    return _DeclarationParser(slug).parse(text)


def _applies(marker: Marker | None, python: str) -> bool:
    return marker is None or marker.evaluate(
        {"python_version": python, "python_full_version": f"{python}.99"}
    )


@dataclasses.dataclass
class _DeclarationParser:
    slug: str
    problems: list[str] = dataclasses.field(default_factory=list)
    # Line and value by name.
    literals: dict[str, tuple[int, Any]] = dataclasses.field(default_factory=dict)

    def parse(self, text: str) -> Integration:
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError) as error:
            raise DeclarationError((f"{self.slug}: invalid Python: {error}",)) from None
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        self.collect_literals(tree)
        values = {name: self.read_value(name, parse) for name, parse in _PARSERS.items()}
        for problem in self.missing_declarations(functions, values):
            self.add_problem(1, problem)
        self.check_names(functions)
        if self.problems:
            raise DeclarationError(tuple(sorted(self.problems)))
        return Integration(
            slug=self.slug,
            module=self.slug,
            distributions=values["DISTRIBUTION"],
            integration=values["INTEGRATION"],
            service=values["SERVICE"],
            spans=values["SPAN"] or (),
            error=values["ERROR_SPAN"],
            log=values["LOG"] or "",
            explicit="patch" in functions,
            fails="fail" in functions,
            waits="wait" in functions,
            pythons=values["PYTHON"] or (),
            also=values["ALSO"] or (),
            packages=values["PACKAGES"] or (),
            synonyms=values["SYNONYMS"] or (),
            query=values["STATEMENT"],
            setting=values["SETTING"] or "",
        )

    def add_problem(self, line: int, problem: str) -> None:
        self.problems.append(f"{self.slug}:{line}: {problem}")

    def collect_literals(self, tree: ast.Module) -> None:
        """Collect the upper-case names of the module; the value of what is no literal is None."""
        for node in tree.body:
            if not isinstance(node, ast.Assign):
                continue
            for target in node.targets:
                if not (isinstance(target, ast.Name) and target.id.isupper()):
                    continue
                if target.id in self.literals:
                    self.add_problem(node.lineno, f"duplicate name {target.id}")
                try:
                    value = ast.literal_eval(node.value)
                except ValueError:
                    value = None
                self.literals[target.id] = (node.lineno, value)

    def read_value(self, name: str, parse: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - by name
        if name not in self.literals:
            return None
        line, value = self.literals[name]
        try:
            return parse(value)
        except (ValueError, InvalidSpecifier, InvalidRequirement) as error:
            self.add_problem(line, f"{name}: {str(error).splitlines()[0]}")
            return None

    def check_names(self, functions: set[str]) -> None:
        """Add a problem for each name that is probably a misspelt one."""
        for name, (line, _) in self.literals.items():
            if name not in _PARSERS and (hint := did_you_mean(name, _PARSERS)):
                self.add_problem(line, f"unknown name {name!r}{hint}")
        for name in functions - _FUNCTIONS:
            hint = did_you_mean(name, _FUNCTIONS - functions)
            if hint:
                self.add_problem(1, f"unknown function {name!r}{hint}")

    def missing_declarations(self, functions: set[str], values: Mapping[str, Any]) -> Iterator[str]:
        for name in ("DISTRIBUTION", "INTEGRATION", "SERVICE"):
            if name not in self.literals:
                yield f"missing {name}"
        if ("SPAN" in self.literals) == ("LOG" in self.literals):
            yield "exactly one of SPAN and LOG is required"
        if values["LOG"] == "":
            yield "LOG is empty (expected the key of a log record)"
        if "call" not in functions:
            yield "missing function call(context)"
        if "ERROR_SPAN" in self.literals and "fail" not in functions:
            yield "ERROR_SPAN requires the function fail(context)"
        if "STATEMENT" in self.literals and "SPAN" not in self.literals:
            yield "STATEMENT requires SPAN"


def _parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a string")  # noqa: TRY004 - all problems are one kind
    return value


def _parse_texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("expected a list of strings")  # noqa: TRY004
    return tuple(map(_parse_text, value))


def _parse_pythons(value: object) -> tuple[tuple[SpecifierSet, SpecifierSet], ...]:
    pairs = [("", value)] if isinstance(value, str) else parse_pairs(value)
    return tuple((SpecifierSet(versions), SpecifierSet(pythons)) for versions, pythons in pairs)


def _parse_also(value: object) -> tuple[tuple[SpecifierSet, str], ...]:
    return tuple(
        (SpecifierSet(versions), str(Requirement(text))) for versions, text in parse_pairs(value)
    )


def _parse_spans(value: object) -> tuple[DeclaredSpan, ...]:
    if not isinstance(value, list):
        return (_parse_span(value),)
    if not value:
        raise ValueError("empty list of spans")
    return tuple(map(_parse_span, value))


def _parse_span(value: object) -> DeclaredSpan:
    if not isinstance(value, dict):
        raise ValueError("expected a dict")  # noqa: TRY004
    for key in value:
        if key not in _SPAN_KEYS:
            raise ValueError(f"unknown key {key!r}{did_you_mean(str(key), _SPAN_KEYS)}")
    names = value.get("name", ())
    names = (names,) if isinstance(names, str) else _parse_texts(names or None)
    if value.get("trace", "own") != "own":
        raise ValueError(f"trace: invalid value {value['trace']!r} (expected 'own')")
    return DeclaredSpan(
        names=names,
        component=_parse_text(value.get("component", "")),
        resource=_parse_text(value.get("resource", "*")),
        type=_parse_text(value.get("type", "*")),
        tags=_parse_tags(value),
        own="trace" in value,
    )


def _parse_query(value: object) -> DeclaredQuery:
    if not isinstance(value, dict):
        raise ValueError("expected a dict")  # noqa: TRY004
    for key in value:
        if key not in _QUERY_KEYS:
            raise ValueError(f"unknown key {key!r}{did_you_mean(str(key), _QUERY_KEYS)}")
    return DeclaredQuery(
        resource=_parse_text(value.get("resource", "")),
        tags=_parse_tags(value),
        without=_parse_text(value.get("without", "")),
    )


def _parse_tags(value: Mapping[str, object]) -> tuple[tuple[str, str], ...]:
    tags = value.get("tags", {})
    if not isinstance(tags, dict):
        raise ValueError("tags: expected a dict")  # noqa: TRY004
    return tuple((_parse_text(key), _parse_text(tag)) for key, tag in tags.items())


_PARSERS: Mapping[str, Callable[[Any], Any]] = {
    "DISTRIBUTION": parse_distributions,
    "SYNONYMS": parse_synonyms,
    "INTEGRATION": _parse_text,
    "SERVICE": _parse_text,
    "SPAN": _parse_spans,
    "ERROR_SPAN": _parse_span,
    "STATEMENT": _parse_query,
    "SETTING": _parse_text,
    "LOG": _parse_text,
    "PYTHON": _parse_pythons,
    "ALSO": _parse_also,
    "PACKAGES": _parse_texts,
}
