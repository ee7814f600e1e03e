"""Finder of names that only some systems have, used without a test of `sys.platform`."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.system.data_files import read_toml

__all__ = ["Names", "only_on", "uses"]

_ONLY = re.compile(r'^"""(POSIX|Linux|Windows) only: ', re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Names:
    """Names by module, whole modules, and arguments of `Popen` that Windows lacks."""

    names: Mapping[str, frozenset[str]]
    modules: frozenset[str]
    arguments: frozenset[str]

    @classmethod
    def load(cls) -> Names:
        """Read `posix_names.toml`."""
        table = read_toml(Path(__file__).with_name("posix_names.toml"))
        names = {
            module: frozenset((*posix, *table["linux"][module]))
            for module, posix in table["names"].items()
        }
        return cls(names, frozenset(table["modules"]), frozenset(table["arguments"]))


def only_on(source: str) -> str:
    """Return the only systems that a module's docstring declares, "" for all systems."""
    match = _ONLY.search(source)
    return match[1] if match else ""


def uses(source: str, names: Names) -> Iterator[str]:
    """Yield `line: name` for each use without a preceding test of `sys.platform`."""
    yield from _Finder(names, source).find(ast.parse(source))


class _Finder:
    def __init__(self, names: Names, source: str) -> None:
        self._names = names
        # Most modules test no platform at all, and writing their expressions out takes long.
        self._has_tests = _names_platform(source)

    def find(self, tree: ast.Module) -> Iterator[str]:
        yield from self._in_block(tree.body)

    def _in_block(self, body: list[ast.stmt]) -> Iterator[str]:
        """Stop after `if sys.platform ...: return` (or raise, continue)."""
        for statement in body:
            if isinstance(statement, ast.If) and self._tests_platform(statement.test):
                if _leaves(statement.body):
                    return
                continue
            if isinstance(statement, ast.Try) and _tolerates_missing(statement):
                continue
            yield from self._in(statement)

    def _in(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If | ast.IfExp | ast.BoolOp) and self._tests_platform(
            node.values[0] if isinstance(node, ast.BoolOp) else node.test
        ):
            return
        yield from (f"{node.lineno}: {what}" for what in self._used(node))  # type: ignore[attr-defined]
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield from self._in_block(value)
            else:
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST) and child._fields:
                        yield from self._in(child)

    def _tests_platform(self, test: ast.expr) -> bool:
        return self._has_tests and _names_platform(ast.unparse(test))

    def _used(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name in self._names.modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in self._names.modules:
                yield node.module
            missing = self._names.names.get(node.module, frozenset())
            yield from (f"{node.module}.{i.name}" for i in node.names if i.name in missing)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in self._names.names.get(node.value.id, frozenset()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and _called_name(node) == "Popen":
            arguments = {keyword.arg: keyword.value for keyword in node.keywords}
            for name in sorted(self._names.arguments & set(arguments)):
                value = arguments[name]
                if not (isinstance(value, ast.IfExp) and self._tests_platform(value.test)):
                    yield f"Popen({name}=)"


def _called_name(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _names_platform(text: str) -> bool:
    return "sys.platform" in text or "os.name" in text or "windows" in text


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue) or (
        isinstance(body[-1], ast.Expr) and "skip(" in ast.unparse(body[-1])
    )


def _tolerates_missing(statement: ast.Try) -> bool:
    """Return whether it catches the error of a missing module or attribute."""
    caught = [ast.unparse(handler.type) for handler in statement.handlers if handler.type]
    return any("ImportError" in name or "AttributeError" in name for name in caught)
