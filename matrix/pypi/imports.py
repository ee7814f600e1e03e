"""Finder of the imports of Python files of any version, with the condition of each.

Files that the grammar of the running Python rejects, such as Python 2, are searched line by line.
There, only the indentation tells the condition: statements at column 0 run when the module is
imported, the others perhaps.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import re
import warnings
from collections.abc import Iterable, Iterator

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
    """Yield line (1-based), whether it is at column 0, and the text, for each import."""
    text = _STRING.sub(_blank, source.replace("\r\n", "\n"))
    text = re.sub(r"\\\n", "  ", text) if "\\\n" in text else text
    for match in _IMPORT.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        plain = " ".join(match["text"].replace("(", " ").replace(")", " ").split())
        alone = match.group(0).lstrip().startswith(("from", "import"))
        yield line, not match["indent"] and alone, plain.rstrip(",")


def _blank(match: re.Match[str]) -> str:
    # Line numbers stay the same.
    return ("" if match["comment"] else "0") + "\n" * match.group(0).count("\n")


class ImportCondition(str, enum.Enum):
    """Conditions under which an import statement runs when its module is imported."""

    ALWAYS = "always"
    PERHAPS = "perhaps"
    """In a function, or under a condition."""
    GUARDED = "guarded"
    """Its failure is caught, or it is for type checkers only."""


@dataclasses.dataclass(frozen=True)
class Import:
    """One import of an absolute module; `name` is that of `from module import name`, or ""."""

    module: str
    name: str
    line: int
    condition: ImportCondition


@dataclasses.dataclass(frozen=True)
class ModuleImports:
    """The imports of one Python file.

    `names` are those that a package's `__init__` binds, None where they cannot be determined.
    `exact` is false for a file with invalid syntax, whose imports were found line by line.
    """

    path: str
    imports: tuple[Import, ...]
    names: tuple[str, ...] | None = None
    exact: bool = True


def module_name(path: str) -> str:
    """Return `a.b` of `a/b.py` and `a/b/__init__.py`."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def read_module(path: str, content: bytes) -> ModuleImports:
    """Return the imports of a Python file of any version."""
    package = path.endswith("/__init__.py")
    name = module_name(path)
    home = name if package else name.rpartition(".")[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ModuleImports(path, tuple(_find_by_line(content, home)), None, exact=False)
    imports = tuple(_walk(tree.body, ImportCondition.ALWAYS, home))
    return ModuleImports(path, imports, _bound_names(tree.body, home) if package else None)


def _walk(body: Iterable[ast.stmt], condition: ImportCondition, home: str) -> Iterator[Import]:
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from _imports(node, condition, home)
        elif isinstance(node, ast.Try) or type(node).__name__ == "TryStar":
            yield from _walk_try(node, condition, home)  # type: ignore[arg-type]
        elif isinstance(node, ast.If) and _for_type_checkers(node.test):
            yield from _walk(node.orelse, condition, home)
        elif isinstance(node, (ast.ClassDef, ast.With)):
            yield from _walk(node.body, _condition_in(node, condition), home)
        else:
            for block in _blocks(node):
                yield from _walk(block, _at_most_perhaps(condition), home)


def _at_most_perhaps(condition: ImportCondition) -> ImportCondition:
    return condition if condition is ImportCondition.GUARDED else ImportCondition.PERHAPS


def _walk_try(node: ast.Try, condition: ImportCondition, home: str) -> Iterator[Import]:
    caught = any(_catches_import_error(handler.type) for handler in node.handlers)
    yield from _walk(node.body, ImportCondition.GUARDED if caught else condition, home)
    perhaps = _at_most_perhaps(condition)
    for handler in node.handlers:
        # The substitute of a missing module may itself be missing where the module exists.
        yield from _walk(handler.body, ImportCondition.GUARDED if caught else perhaps, home)
    yield from _walk(node.orelse, perhaps, home)
    yield from _walk(node.finalbody, condition, home)


def _condition_in(node: ast.ClassDef | ast.With, condition: ImportCondition) -> ImportCondition:
    """Return `GUARDED` for the body of `with suppress(ImportError)`."""
    if isinstance(node, ast.With):
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and _last_name(call.func) == "suppress":
                return ImportCondition.GUARDED
    return condition


_CATCHING = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def _catches_import_error(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    if isinstance(kind, ast.Tuple):
        return any(_catches_import_error(item) for item in kind.elts)
    return _last_name(kind) in _CATCHING


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _for_type_checkers(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(_for_type_checkers(value) for value in test.values)
    if isinstance(test, ast.Constant):
        return not test.value
    return _last_name(test) in {"TYPE_CHECKING", "MYPY"}


def _blocks(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    if not (hasattr(node, "body") or hasattr(node, "cases")):  # most statements are simple
        return
    for _, value in ast.iter_fields(node):
        if not isinstance(value, list):
            continue
        if value and isinstance(value[0], ast.stmt):
            yield value
        elif value and hasattr(value[0], "body"):  # the cases of a match statement
            yield from (case.body for case in value)


def _imports(
    node: ast.Import | ast.ImportFrom, condition: ImportCondition, home: str
) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield Import(alias.name, "", node.lineno, condition)
        return
    module = _absolute(node.module or "", node.level, home)
    if module is not None and module != "__future__":
        for alias in node.names:
            yield Import(module, alias.name, node.lineno, condition)


def _absolute(module: str, level: int, home: str) -> str | None:
    if not level:
        return module
    parts = home.split(".") if home else []
    if level > len(parts):
        return None
    base = parts[: len(parts) - level + 1]
    return ".".join([*base, module] if module else base)


_DYNAMIC_NAMES = {"*", "__getattr__", "globals", "__class__"}


def _bound_names(body: list[ast.stmt], home: str) -> tuple[str, ...] | None:
    """Return the names that a package binds, None where they cannot be determined.

    Imports from the package itself bind modules that exist or do not: no names of its own.
    """
    names: set[str] = set()
    for node in (inner for statement in body for inner in ast.walk(statement)):
        if isinstance(node, ast.Call) and _last_name(node.func) in {"globals", "setattr"}:
            return None
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.Import) or (
            isinstance(node, ast.ImportFrom)
            and _absolute(node.module or "", node.level, home) != home
        ):
            names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    return None if names & _DYNAMIC_NAMES else tuple(sorted(names))


def _find_by_line(content: bytes, home: str) -> Iterator[Import]:
    for line, top, text in import_statements(content.decode("utf-8", errors="replace")):
        condition = ImportCondition.ALWAYS if top else ImportCondition.PERHAPS
        try:
            node = ast.parse(text).body[0]
        except (SyntaxError, ValueError, IndexError):
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for item in _imports(node, condition, home):
                yield dataclasses.replace(item, line=line)
