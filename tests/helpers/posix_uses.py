"""Where a module uses what only some systems have, and whether it asks for the system there."""

from __future__ import annotations

import ast
import dataclasses
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Names", "only_on", "uses"]

_SAYS = re.compile(r"(POSIX|Linux|Windows) only: ")


@dataclasses.dataclass(frozen=True)
class Names:
    """What Windows does not have: names by module, whole modules, and arguments of `Popen`."""

    names: Mapping[str, frozenset[str]]
    modules: frozenset[str]
    arguments: frozenset[str]

    @classmethod
    def load(cls) -> Names:
        """Return what the file beside this one says."""
        path = Path(__file__).with_name("posix_names.toml")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        names = {
            module: frozenset((*found, *table["linux"][module]))
            for module, found in table["names"].items()
        }
        return cls(names, frozenset(table["modules"]), frozenset(table["arguments"]))


def only_on(source: str) -> str:
    """Return the systems that a module's docstring says it is only for, "" for all."""
    found = _SAYS.match(ast.get_docstring(ast.parse(source)) or "")
    return found[1] if found else ""


def uses(source: str, names: Names) -> Iterator[str]:
    """Yield `line: what` for each use that no test of `sys.platform` stands before."""
    yield from _Finder(names).found(ast.parse(source))


class _Finder:
    def __init__(self, names: Names) -> None:
        self._names = names

    def found(self, tree: ast.Module) -> Iterator[str]:
        yield from self._in_block(tree.body)

    def _in_block(self, body: list[ast.stmt]) -> Iterator[str]:
        """What comes after `if sys.platform ...: return` (or raise, continue) is for the others."""
        for statement in body:
            if isinstance(statement, ast.If) and _asks(statement.test):
                if _leaves(statement.body):
                    return
                continue
            if isinstance(statement, ast.Try) and _forgives(statement):
                continue
            yield from self._in(statement)

    def _in(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If | ast.IfExp | ast.BoolOp) and _asks(
            node.values[0] if isinstance(node, ast.BoolOp) else node.test
        ):
            return
        yield from (f"{node.lineno}: {what}" for what in self._used(node))  # type: ignore[attr-defined]
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                yield from self._in_block(value)
            else:
                for each in value if isinstance(value, list) else [value]:
                    if isinstance(each, ast.AST):
                        yield from self._in(each)

    def _used(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name in self._names.modules)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in self._names.modules:
                yield node.module
            wrong = self._names.names.get(node.module, frozenset())
            yield from (f"{node.module}.{i.name}" for i in node.names if i.name in wrong)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in self._names.names.get(node.value.id, frozenset()):
                yield f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call) and "Popen" in ast.unparse(node.func).split("."):
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            for name in sorted(self._names.arguments & set(given)):
                value = given[name]
                if not (isinstance(value, ast.IfExp) and _asks(value.test)):
                    yield f"Popen({name}=)"


def _asks(test: ast.expr) -> bool:
    text = ast.unparse(test)
    return "sys.platform" in text or "os.name" in text or "windows" in text


def _leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue) or (
        isinstance(body[-1], ast.Expr) and "skip(" in ast.unparse(body[-1])
    )


def _forgives(statement: ast.Try) -> bool:
    """Whether it goes on without what is not there."""
    caught = [ast.unparse(handler.type) for handler in statement.handlers if handler.type]
    return any("ImportError" in each or "AttributeError" in each for each in caught)
