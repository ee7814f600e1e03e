"""Byte code is compiled once for each package and CPython, and is nobody else's."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import marshal
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from helpers.environment_fakes import INTERPRETER
from helpers.tree_fakes import image

from matrix.environments.byte_code import add_byte_code
from matrix.environments.download import UnpackedWheels
from matrix.environments.image_builds import ByteCodeCache, ImageCommand
from matrix.environments.toolbox import Command, CommandResult, Toolbox, run
from matrix.model.environment import Interpreter

_MODIFIED = 1_577_836_800


class CountingRunner:
    """A runner of real commands that notes what they were to compile."""

    def __init__(self) -> None:
        self.compiled: list[list[str]] = []

    def __call__(self, command: Command) -> CommandResult:
        self.compiled.append([Path(line).name for line in command.stdin.splitlines()])
        return run(command)


@pytest.fixture
def runner() -> CountingRunner:
    return CountingRunner()


@pytest.fixture
def tools(tmp_path: Path, runner: CountingRunner) -> Toolbox:
    return Toolbox(
        tmp_path, "https://index.example/simple", offline=True, runner=runner, seconds=60
    )


@pytest.fixture
def python() -> Interpreter:
    version = ".".join(map(str, sys.version_info[:3]))
    return dataclasses.replace(INTERPRETER, executable=Path(sys.executable), version=version)


def site(tmp_path: Path, name: str, **modules: str) -> Path:
    """Return a folder with modules: `a__b` is the module `b` of the package `a`."""
    folder = tmp_path / name
    for module, text in modules.items():
        path = folder / f"{module.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (_MODIFIED, _MODIFIED))
    return folder


def byte_code(path: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(path)))


def test_a_package_is_compiled_once(
    tmp_path: Path, tools: Toolbox, runner: CountingRunner, python: Interpreter
) -> None:
    first = site(tmp_path, "first", ddtrace__core="x = 1", six="y = 1", flask__app="z = 1")
    second = site(tmp_path, "second", ddtrace__core="x = 1", six="y = 1", flask__app="z = 2")
    add_byte_code(tools, python, first)
    add_byte_code(tools, python, second)
    assert runner.compiled == [["ddtrace", "flask", "six.py"], ["flask"]]
    for module in ("ddtrace/core.py", "six.py"):
        assert byte_code(first / module).samefile(byte_code(second / module))
    constants = [_code(folder / "flask/app.py").co_consts[0] for folder in (first, second)]
    assert constants == [1, 2]


def test_byte_code_is_that_of_the_modules_times(
    tmp_path: Path, tools: Toolbox, python: Interpreter
) -> None:
    first, second = (site(tmp_path, name, six="y = 1") for name in ("first", "second"))
    os.utime(second / "six.py", (_MODIFIED + 2, _MODIFIED + 2))
    add_byte_code(tools, python, first)
    add_byte_code(tools, python, second)
    for folder, modified in ((first, _MODIFIED), (second, _MODIFIED + 2)):
        header = byte_code(folder / "six.py").read_bytes()[:16]
        assert int.from_bytes(header[8:12], "little") == modified


def test_byte_code_that_a_wheel_brings_along_comes_to_no_other(
    tmp_path: Path, tools: Toolbox, runner: CountingRunner, python: Interpreter
) -> None:
    forged, genuine = (site(tmp_path, name, ddtrace__core="x = 1") for name in ("a", "b"))
    wrong = site(tmp_path, "wrong", core="x = 2")
    add_byte_code(tools, python, wrong)
    target = byte_code(forged / "ddtrace/core.py")
    target.parent.mkdir()
    target.write_bytes(byte_code(wrong / "core.py").read_bytes())
    add_byte_code(tools, python, forged)
    add_byte_code(tools, python, genuine)
    assert _code(genuine / "ddtrace/core.py").co_consts[0] == 1
    assert runner.compiled[-1] == ["ddtrace"]


def test_changed_byte_code_is_named_and_compiled_again(
    tmp_path: Path, tools: Toolbox, python: Interpreter
) -> None:
    first, second = (site(tmp_path, name, six="y = 1") for name in ("first", "second"))
    add_byte_code(tools, python, first)
    time.sleep(0.12)  # longer than two changes of a file may have one time
    cached = next((tmp_path / "compiled").rglob("*.pyc"))
    content = cached.read_bytes()
    byte_code(first / "six.py").unlink()
    cached.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    add_byte_code(tools, python, second)
    assert _code(second / "six.py").co_consts[0] == 1
    (notice,) = tools.take_notices()
    assert "six" in notice


def test_what_cannot_be_compiled_has_no_byte_code(
    tmp_path: Path, tools: Toolbox, python: Interpreter
) -> None:
    folder = site(tmp_path, "first", future__new="match = = 1", future__old="x = 1")
    add_byte_code(tools, python, folder)
    assert not byte_code(folder / "future/new.py").exists()
    assert byte_code(folder / "future/old.py").exists()


def test_what_an_equal_cpython_at_another_place_compiled_is_not_used(
    tmp_path: Path, tools: Toolbox, runner: CountingRunner, python: Interpreter
) -> None:
    first, second = (site(tmp_path, name, six="y = 1") for name in ("first", "second"))
    add_byte_code(tools, python, first)
    add_byte_code(tools, dataclasses.replace(python, build="another"), second)
    assert len(runner.compiled) == 2


def test_builders_at_the_same_time_compile_a_package_once(
    tmp_path: Path, tools: Toolbox, runner: CountingRunner, python: Interpreter
) -> None:
    modules = {f"ddtrace__module{number}": f"x = {number}" for number in range(200)}
    folders = [site(tmp_path, f"site{number}", **modules) for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(functools.partial(add_byte_code, tools, python), folders))
    assert runner.compiled == [["ddtrace"]]
    assert all(len(list(folder.rglob("*.pyc"))) == len(modules) for folder in folders)


def test_trees_that_are_built_at_the_same_time_share_their_byte_code(
    tmp_path: Path, tools: Toolbox, runner: CountingRunner, python: Interpreter
) -> None:
    modules = {f"ddtrace__module{number}": f"x = {number}" for number in range(200)}
    wheels = [UnpackedWheels(site(tmp_path, "unpacked", **modules), "key")]
    cache = ByteCodeCache(tools, ImageCommand(None, 60), lambda: [python])

    def folders(_: int) -> list[Path]:
        return cache.folders(python.python, wheels, image(python=python.version))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(folders, range(4)))
    assert len(runner.compiled) == 1
    assert all(len(list(found.rglob("*.pyc"))) == len(modules) for (found,) in results)


def _code(source: Path) -> Any:  # noqa: ANN401 - a code object
    return marshal.loads(byte_code(source).read_bytes()[16:])  # noqa: S302 - just compiled
