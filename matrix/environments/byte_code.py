"""Byte code of environments on this machine: compiled once for each package and CPython.

Cells write no byte code, which would be a change. A package (a folder or a module of
`site-packages`) is compiled for the first environment that has it; its byte code is kept at
`compiled/<CPython>/<key>/` and linked into the later ones. The key is of the content of all modules
and of their times, which byte code has; names and versions, which a wheel can forge, are no part of
it. Byte code that a wheel brings along is content like its modules.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from matrix.environments.cache_folders import content_key, put_folder, scratch_beside
from matrix.environments.download import link_file, link_into
from matrix.environments.errors import BuildError
from matrix.environments.toolbox import Toolbox, interpreter_id
from matrix.model.environment import Interpreter
from matrix.model.reason import Reason
from matrix.system.cpu_slots import machine_slots
from matrix.system.timings import BYTE_CODE, TIMINGS

# The paths are in the standard input: there may be more than a command line can have.
_COMPILE = """
import compileall, os, sys
for line in sys.stdin:
    path = line.rstrip("\\n")
    if os.path.isdir(path):
        compileall.compile_dir(path, 100, quiet=1)
    else:
        compileall.compile_file(path, quiet=1)
"""
_OPTIONS = ("-S", "-E", "-s", "-W", "ignore", "-c", _COMPILE)
_CONTENT = (".py", ".pyc")


@dataclasses.dataclass(frozen=True)
class _Package:
    """A folder or module, and the folder of its byte code in the cache."""

    path: Path
    cached: Path


def add_byte_code(tools: Toolbox, interpreter: Interpreter, folder: Path) -> None:
    """Compile what can be compiled in a folder of modules, or link what was compiled before.

    A `site-packages` in it is a folder of its own. Nothing is imported. Raises BuildError for a
    lack of time or space, and OSError.
    """
    packages = list(_packages(tools, interpreter, folder))
    with tools.guard(f"compiled-{interpreter_id(interpreter)}"):
        missing = []
        for package in packages:
            if tools.discard_changed(package.cached):
                missing.append(package)
            else:
                link_into(package.cached, folder, copy=tools.copies)
        if missing:
            _compile(tools, interpreter, [package.path for package in missing])
        for package in missing:
            with scratch_beside(package.cached) as part:
                for path in _byte_code(package.path, interpreter):
                    target = part / path.relative_to(folder)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    link_file(path, target, copy=tools.copies)
                put_folder(part, package.cached)
                tools.manifests.write(package.cached)


def _compile(tools: Toolbox, interpreter: Interpreter, paths: list[Path]) -> None:
    argv = [str(interpreter.executable), *_OPTIONS]
    try:
        with machine_slots().hold(), TIMINGS.phase(BYTE_CODE):
            tools.run(argv, {}, stdin="".join(f"{path}\n" for path in paths))
    except BuildError as error:
        if error.reason is not Reason.BUILD_FAILED:
            raise


def _packages(tools: Toolbox, interpreter: Interpreter, folder: Path) -> Iterator[_Package]:
    parent = tools.root / "compiled" / interpreter_id(interpreter)
    for path in sorted(folder.iterdir()):
        if path.is_symlink() or path.name == "site-packages":
            continue
        files = sorted(_files(path))
        if any(file.suffix == ".py" for file in files):
            rows = (
                f"{file.relative_to(folder)}\0{int(file.stat().st_mtime)}"
                f"\0{tools.manifests.sha256(file)}"
                for file in files
            )
            yield _Package(path, parent / content_key(*rows))


def _files(path: Path) -> Iterator[Path]:
    """Yield the modules of a package, and the byte code that it has from the beginning."""
    if not path.is_dir():
        yield from [path] if path.suffix in _CONTENT else []
        return
    for folder, _, names in os.walk(path):
        yield from (Path(folder, name) for name in names if name.endswith(_CONTENT))


def _byte_code(path: Path, interpreter: Interpreter) -> list[Path]:
    if path.is_dir():
        return [file for file in _files(path) if file.suffix == ".pyc"]
    tag = interpreter.python.replace(".", "")
    candidates = (
        path.parent / "__pycache__" / f"{path.stem}.cpython-{tag}.pyc",
        path.with_suffix(".pyc"),
    )
    return [file for file in candidates if file.is_file()]
