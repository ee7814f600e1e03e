"""Tests of the sources of apps and fixtures: their syntax for all CPythons, and their endpoints."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.sample_apps import python_3_shops

from matrix.probes.declarations import parse
from matrix.probes.integrations import LIBRARIES
from matrix.probes.shops import load_shops, shop_folder
from matrix.system.paths import apps_dir, fixtures_dir, project_root

SOURCES = sorted([*apps_dir().rglob("*.py"), *fixtures_dir().rglob("*.py")])
TOO_NEW: tuple[type[ast.AST], ...] = (
    ast.JoinedStr,
    ast.NamedExpr,
    ast.AnnAssign,
    ast.AsyncFunctionDef,
    ast.AsyncFor,
    ast.AsyncWith,
    ast.Await,
    ast.Nonlocal,
    ast.YieldFrom,
    ast.MatMult,
    ast.Match,
)

# Libraries for Python 3 may need these, from 3.5 on.
COROUTINES = {"AsyncFunctionDef", "AsyncFor", "AsyncWith", "Await", "Nonlocal", "YieldFrom"}
# Names of the standard library that are used most, of those that are newer than 3.5.
NEWER_THAN_3_5 = {
    "asyncio.all_tasks",
    "asyncio.create_task",
    "asyncio.current_task",
    "asyncio.get_running_loop",
    "asyncio.run",
    "asyncio.to_thread",
    "contextlib.AsyncExitStack",
    "contextlib.asynccontextmanager",
    "contextlib.nullcontext",
    "os.PathLike",
    "os.fspath",
    "shlex.join",
    "threading.excepthook",
    "time.time_ns",
}
# Routers of Python 3 use these for path parameters.
ANNOTATIONS = {"arg", "FunctionDef"}


def too_new(tree: ast.AST) -> Iterator[str]:
    """Yield the syntax that CPython 2.7 rejects, or understands differently."""
    for node in ast.walk(tree):
        name = f"line {getattr(node, 'lineno', '?')}: {type(node).__name__}"
        arguments = isinstance(node, ast.arguments) and (node.kwonlyargs or node.posonlyargs)
        annotated = (isinstance(node, ast.arg) and node.annotation) or (
            isinstance(node, ast.FunctionDef) and node.returns
        )
        chained = isinstance(node, ast.Raise) and node.cause
        keyworded = isinstance(node, ast.ClassDef) and node.keywords
        bare_super = (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "super"
            and not node.args
        )
        unpacking = (isinstance(node, ast.Dict) and None in node.keys) or (
            isinstance(node, (ast.List, ast.Tuple))
            and any(isinstance(item, ast.Starred) for item in node.elts)
        )
        if (
            isinstance(node, TOO_NEW)
            or arguments
            or annotated
            or chained
            or keyworded
            or bare_super
            or unpacking
        ):
            yield name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(project_root())))
def test_the_syntax_is_valid_for_every_cpython(path: Path) -> None:
    source = path.read_bytes()
    source.decode("ascii")  # CPython 2.7 requires a declaration of other encodings
    syntax = {name.split(": ")[1] for name in too_new(ast.parse(source))}
    assert syntax <= (COROUTINES | ANNOTATIONS if is_python_3_only(path) else set())


def is_python_3_only(path: Path) -> bool:
    """Return whether the file is for Python 3 only: an app, or a library's module that says so."""
    return not is_for(path, "2.7")


def is_for(path: Path, python: str) -> bool:
    """Return whether the file has to run on a CPython: an app, or a module that does not deny it."""
    if path.parent in python_3_shops():
        return False
    if path.parent.name != LIBRARIES or path.stem == "__init__":
        return True
    pythons = parse(path.stem, path.read_text()).pythons
    return not pythons or any(specifier.contains(python) for _, specifier in pythons)


def newer_than_3_5(source: str) -> Iterator[str]:
    """Yield the syntax, and the names of the standard library, that CPython 3.5 rejects."""
    try:
        tree = ast.parse(source, feature_version=(3, 5))
    except SyntaxError as error:
        yield f"line {error.lineno}: {error.msg}"
        return
    for node in ast.walk(tree):
        line = f"line {getattr(node, 'lineno', '?')}"
        if isinstance(node, ast.AsyncFunctionDef) and any(
            isinstance(item, ast.Yield) for item in ast.walk(node)
        ):
            yield f"{line}: an asynchronous generator"
        if isinstance(node, ast.Attribute) and ast.unparse(node) in NEWER_THAN_3_5:
            yield f"{line}: {ast.unparse(node)}"
        if isinstance(node, ast.keyword) and node.arg in {"capture_output"}:
            yield f"{line}: {node.arg}"


@pytest.mark.parametrize(
    "path",
    [path for path in SOURCES if is_for(path, "3.5")],
    ids=lambda path: str(path.relative_to(project_root())),
)
def test_nothing_is_newer_than_cpython_3_5_unless_the_file_says_so(path: Path) -> None:
    assert [*newer_than_3_5(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    "source",
    [
        'f"{x}"',
        "x: int = 1",
        "x = 1_000",
        "def f(a, /): pass",
        "(a := 1)",
        "async def f():\n    yield 1",
        "async def f():\n    return [x async for x in y]",
        "with (open(a) as b, open(c) as d):\n    pass",
        "asyncio.run(f())",
        "subprocess.run(a, capture_output=True)",
    ],
)
def test_what_is_newer_than_cpython_3_5_is_found(source: str) -> None:
    assert [*newer_than_3_5(source)]


@pytest.mark.parametrize(
    "source",
    [
        'f"{x}"',
        "x: int = 1",
        "def f(*, a): pass",
        "def f(a) -> int: pass",
        "class A(metaclass=B): pass",
        "super().f()",
        "raise A from b",
        "[*a]",
        "{**a}",
        "async def f(): pass",
        "(a := 1)",
    ],
)
def test_syntax_that_is_too_new_is_found(source: str) -> None:
    assert list(too_new(ast.parse(source)))


def string_arguments(function: str, path: Path, position: int = 0) -> list[str]:
    """Return the literal text in the argument at `position` of each call of `function`."""
    strings = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == function:
            argument = node.args[position]
            texts = [part.value for part in ast.walk(argument) if isinstance(part, ast.Constant)]
            strings += [text for text in texts if isinstance(text, str)]
    return strings


def routes_of(framework: str) -> set[str]:
    """Return the routes of a shop below its first segment: those of `endpoints.py`, or its own."""
    path = shop_folder(framework) / "shop.py"
    if "endpoints" in path.read_text("utf-8"):
        routes = string_arguments("Endpoint", apps_dir() / "endpoints.py", 1)
    elif framework == "django":
        found = string_arguments("re_path", path)
        return {re.sub(r"\(\?P<(\w+)>.*?\)", r"{\1}", route)[:-1] for route in found}
    else:
        functions = ("application.route", "application.get", "application.post")
        found = [route for each in functions for route in string_arguments(each, path)]
        routes = [re.sub(r"<(\w+)>", r"{\1}", route) for route in found]
    return {route.removeprefix("/{shop}/") for route in routes}


@pytest.mark.parametrize("framework", load_shops())
def test_every_app_serves_the_endpoints_of_the_readme(framework: str) -> None:
    readme = (apps_dir() / "README.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(?:GET|POST) /\{shop\}/([^?`]*)", readme, re.MULTILINE))
    assert len(documented) > 10
    assert routes_of(framework) == documented
