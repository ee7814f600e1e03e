"""Python files of a wheel: what each imports, and under which condition.

Imports of Python files that today's grammar does not take: Python 2, or a newer one than ours.

Statements that start a line are looked at, and nothing is known of what guards them but their
indentation: what stands at column 0 runs when the module is imported, all else perhaps.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import re
import warnings
from collections.abc import Iterable, Iterator

__all__ = [
    "Import",
    "ImportCondition",
    "ModuleImports",
    "Statement",
    "import_statements",
    "module_name",
    "read_module",
]

Statement = tuple[int, bool, str]

_STRING = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>[rRbBuUfFtT]{0,3}(?:
            \"\"\"(?:\\.|[^\\])*?\"\"\" | '''(?:\\.|[^\\])*?'''
          | \"(?:\\.|[^\\\"\n])*\" | '(?:\\.|[^\\'\n])*' ))""",
    re.VERBOSE | re.DOTALL,
)
_IMPORT = re.compile(
    r"""^(?P<indent>[ \t]*)(?:(?:try|else|finally)[ \t]*:[ \t]*)?
        (?P<text> from[ \t]+[.\w]+[ \t]+import[ \t]*(?:\([^)]*\)|[^\n;]+)
                | import[ \t]+[^\n;]+ )""",
    re.VERBOSE | re.MULTILINE,
)


def import_statements(source: str) -> Iterator[Statement]:
    """Yield line (1-based), whether it stands at column 0, and the text, for each import."""
    text = _STRING.sub(_blank, source.replace("\r\n", "\n"))
    text = re.sub(r"\\\n", "  ", text) if "\\\n" in text else text
    for match in _IMPORT.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        plain = " ".join(match["text"].replace("(", " ").replace(")", " ").split())
        alone = match.group(0).lstrip().startswith(("from", "import"))
        yield line, not match["indent"] and alone, plain.rstrip(",")


def _blank(match: re.Match[str]) -> str:
    # The lines stay where they are.
    return ("" if match["comment"] else "0") + "\n" * match.group(0).count("\n")


class ImportCondition(str, enum.Enum):
    """Whether an import statement is carried out when its module is imported."""

    # Whenever the module is imported.
    ALWAYS = "always"
    # In a function, or under a condition.
    PERHAPS = "perhaps"
    # Its failure is caught, or it is for type checkers.
    GUARDED = "guarded"


@dataclasses.dataclass(frozen=True)
class Import:
    """One imported module, absolute; `name` is what `from module import name` takes of it."""

    module: str
    name: str
    line: int
    when: ImportCondition


@dataclasses.dataclass(frozen=True)
class ModuleImports:
    """One Python file. `names` are what a package's `__init__` binds, None where that is open.

    `exact` is false where today's grammar does not take the file, and its imports were found line
    by line.
    """

    path: str
    imports: tuple[Import, ...]
    names: tuple[str, ...] | None = None
    exact: bool = True


def module_name(path: str) -> str:
    """Return `a.b` of `a/b.py` and `a/b/__init__.py`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def read_module(path: str, content: bytes) -> ModuleImports:
    """Return the imports of a Python file, whatever Python it is written for."""
    package = path.endswith("/__init__.py")
    name = module_name(path)
    home = name if package else name.rpartition(".")[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ModuleImports(path, tuple(_by_line(content, home)), None, exact=False)
    found = tuple(_walk(tree.body, ImportCondition.ALWAYS, home))
    return ModuleImports(path, found, _names(tree.body, home) if package else None)


def _walk(body: Iterable[ast.stmt], when: ImportCondition, home: str) -> Iterator[Import]:
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _imports(node, when, home)
        elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            yield from _tried(node, when, home)  # type: ignore[arg-type]
        elif isinstance(node, ast.If) and _for_type_checkers(node.test):
            yield from _walk(node.orelse, when, home)
        elif isinstance(node, (ast.ClassDef, ast.With)):
            yield from _walk(node.body, _less(when, node), home)
        else:
            perhaps = when if when is ImportCondition.GUARDED else ImportCondition.PERHAPS
            for block in _blocks(node):
                yield from _walk(block, perhaps, home)


def _tried(node: ast.Try, when: ImportCondition, home: str) -> Iterator[Import]:
    caught = any(_catches(handler.type) for handler in node.handlers)
    yield from _walk(node.body, ImportCondition.GUARDED if caught else when, home)
    perhaps = when if when is ImportCondition.GUARDED else ImportCondition.PERHAPS
    for handler in node.handlers:
        # What stands in for a missing module may be missing where the module is there.
        yield from _walk(handler.body, ImportCondition.GUARDED if caught else perhaps, home)
    yield from _walk(node.orelse, perhaps, home)
    yield from _walk(node.finalbody, when, home)


def _less(when: ImportCondition, node: ast.ClassDef | ast.With) -> ImportCondition:
    """Return `GUARDED` for the body of `with suppress(ImportError)`."""
    if isinstance(node, ast.With):
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and _last(call.func) == "suppress":
                return ImportCondition.GUARDED
    return when


_CATCHING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def _catches(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(_catches(each) for each in kind.elts)
    return _last(kind) in _CATCHING


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _for_type_checkers(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(_for_type_checkers(each) for each in test.values)
    if isinstance(test, ast.Constant):
        return not test.value
    return _last(test) in {"TYPE_CHECKING", "MYPY"}


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    for _, value in ast.iter_fields(node):
        if not isinstance(value, list):
            continue
        if value and isinstance(value[0], ast.stmt):
            yield value
        elif value and hasattr(value[0], "body"):  # the cases of a match statement
            yield from (case.body for case in value)


def _imports(
    node: ast.Import | ast.ImportFrom, when: ImportCondition, home: str
) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, "", node.lineno, when)
        return
    module = _absolute(node.module or "", node.level, home)
    if module is not None and module != "__future__":
        for alias in node.names:
            yield Import(module, alias.name, node.lineno, when)


def _absolute(module: str, level: int, home: str) -> str | None:
    if not level:
        return module
    parts = home.split(".") if home else []
    if level > len(parts):
        return None
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, module] if module else base)


def _names(body: list[ast.stmt], home: str) -> tuple[str, ...] | None:
    """Return the names that a package binds, None where anything goes.

    What it imports from itself is a module that is there, or is not: no name of its own.
    """
    found: set[str] = set()
    for node in body:
        for each in ast.walk(node):
            if isinstance(each, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                found.add(each.name)
            elif isinstance(each, ast.Name) and not isinstance(each.ctx, ast.Load):
                found.add(each.id)
            elif isinstance(each, ast.Import) or (
                isinstance(each, ast.ImportFrom)
                and _absolute(each.module or "", each.level, home) != home
            ):
                found |= {(alias.asname or alias.name).partition(".")[0] for alias in each.names}
    opens = {"*", "__getattr__", "globals", "__class__"}
    if found & opens or any(
        isinstance(each, ast.Call) and _last(each.func) in {"globals", "setattr"}
        for node in body
        for each in ast.walk(node)
    ):
        return None
    return tuple(sorted(found))


def _by_line(content: bytes, home: str) -> Iterator[Import]:
    for line, top, text in import_statements(content.decode("utf-8", errors="replace")):
        when = ImportCondition.ALWAYS if top else ImportCondition.PERHAPS
        try:
            node = ast.parse(text).body[0]
        except (SyntaxError, ValueError, IndexError):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for each in _imports(node, when, home):
                yield dataclasses.replace(each, line=line)
