"""Images of this machine's own interpreters, copied to the same paths onto a base of Debian.

They serve where there is no registry, for CPythons that no suite of Debian has; on this machine's
own OS and CPU only.

Where an interpreter of this machine keeps itself: asked once by running it, remembered.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from packaging.version import InvalidVersion, Version

from matrix.docker.images.build import ImageBuild, build_image, write_system_layer
from matrix.docker.images.debian import find_obstacle, unpack_packages
from matrix.docker.images.layers import Layer, LayerWriter, read_layer
from matrix.docker.images.mmdebstrap import Tool, image_error_from, run_tool
from matrix.docker.images.recipes import HostRecipe, ImageTarget, Suite, recipe_key, read_recipes
from matrix.docker.images.source import ImageError, ImageOffer, ReportLine
from matrix.docker.interface import ContainerEngine
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import InterpreterAnswer, InterpreterCache, NotAnInterpreterError
from matrix.model.environment import Interpreter
from matrix.model.reason import Reason
from matrix.system.paths import fixtures_dir

__all__ = ["HostSource", "InterpreterLayout", "read_layout", "make_layout_reader", "write_python_layer"]

_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class InterpreterLayout:
    """Paths of this machine: `folders` hold the standard library, `site` what is installed.

    `library` is the shared library that the interpreter is in, "" where there is none, and
    `library_path` the name it is looked for by.
    """

    folders: tuple[str, ...]
    library: str
    library_path: str
    site: str


def read_layout(executable: Path) -> InterpreterAnswer:
    """Return what an interpreter says; raise CannotTellError where it says nothing."""
    script = fixtures_dir() / "images" / "layout.py"
    try:
        said = subprocess.run(
            [str(executable), "-E", "-s", str(script)],
            capture_output=True,
            check=True,
            env={"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
        answer = json.loads(said.stdout.decode("utf-8").splitlines()[-1])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        raise NotAnInterpreterError(str(error)) from error
    if not isinstance(answer, dict):
        raise NotAnInterpreterError("it answers with something else than its layout")
    return answer


def make_layout_reader(memory_file: Path | None) -> Callable[[Path], InterpreterLayout]:
    """Return a function that gives an interpreter's layout, and raises CannotTellError."""

    def layout(executable: Path) -> InterpreterLayout:
        memory = InterpreterCache(memory_file)
        answer = memory.ask(executable, read_layout)
        memory.save()
        try:
            name = answer["library_name"]
            return InterpreterLayout(
                folders=tuple(answer["folders"]),
                library=answer["library"],
                library_path=str(Path(answer["library_folder"]) / name) if name else "",
                site=answer["site"],
            )
        except (KeyError, TypeError) as error:
            raise NotAnInterpreterError("its answer makes no sense") from error

    return layout


# How the layers are put together; to be raised with every change of the code that does.
_VERSION = 1
_USELESS = (".pyc", ".pyo", ".a")


class HostSource:
    """Interpreters found on this machine."""

    name = "host"
    rank = 30

    def __init__(
        self,
        cache_dir: Path,
        tool: Tool = run_tool,
        find: Callable[[], Sequence[Interpreter]] = find_interpreters,
        layout: Callable[[Path], InterpreterLayout] | None = None,
    ) -> None:
        """Bases lie in `cache_dir`, as several images stand on one."""
        self._cache = cache_dir
        self._tool = tool
        self._find = find
        self._layout = layout or make_layout_reader(cache_dir / "layouts.json")

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:  # noqa: ARG002 - as the seam has it
        """Return an offer for each interpreter that a base is new enough for."""
        if sys.platform != "linux":
            return ()
        obstacle, remedy = find_obstacle() if self._tool is run_tool else ("", "")
        found = []
        for interpreter in self._find():
            suite = _suite_for(interpreter, read_recipes().host)
            targets = [each for each in read_recipes().targets if each.name == interpreter.target]
            if suite is None or not targets:
                continue
            try:
                layout = self._layout(interpreter.executable)
            except NotAnInterpreterError:
                continue
            offer = ImageOffer(
                source=self.name,
                name=_name(interpreter, suite),
                python=interpreter.python,
                target=interpreter.target,
                platform=targets[0].platform,
                key=_key(interpreter, layout, suite, targets[0]),
                executable=str(interpreter.executable),
                site=layout.site,
                obstacle=obstacle,
                remedy=remedy,
            )
            found.append(offer)
        return tuple(found)

    def provide(self, offer: ImageOffer, engine: ContainerEngine, tell: ReportLine) -> tuple[str, str]:
        """Make the image. Raises ImageError."""
        if sys.platform == "win32":
            raise ImageError(Reason.NO_IMAGE, find_obstacle()[0])
        from matrix.docker.images.build_folder import open_build_folder  # noqa: PLC0415 - not everywhere

        interpreter = self._offered(offer)
        suite = _suite_for(interpreter, read_recipes().host)
        if suite is None:
            raise ImageError(Reason.NO_IMAGE, f"no base is new enough for {interpreter.libc}")
        target = read_recipes().target(offer.target)
        tell(f"CPython {interpreter.version} of this machine: copying onto {suite.name}")
        try:
            layout = self._layout(interpreter.executable)
            with open_build_folder() as shop:
                layers = (
                    self._base(suite, target),
                    write_system_layer(shop.folder / "own.tar", [layout.site]),
                    write_python_layer(interpreter.executable, layout, shop.folder / "python.tar"),
                )
                making = ImageBuild(
                    key=offer.key,
                    target=target,
                    layers=layers,
                    executables=[offer.executable],
                    tag=f"compat-matrix:host-{interpreter.version}-{target.name}",
                )
                image = build_image(making, engine, shop.folder)
        except NotAnInterpreterError as error:
            raise ImageError(Reason.NO_IMAGE, f"{offer.executable}: {error}") from error
        except OSError as error:
            raise image_error_from(error) from error
        return image, image

    def _offered(self, offer: ImageOffer) -> Interpreter:
        for interpreter in self._find():
            if str(interpreter.executable) == offer.executable:
                return interpreter
        raise ImageError(Reason.NO_IMAGE, f"{offer.executable} is not there any more")

    def _base(self, suite: Suite, target: ImageTarget) -> Layer:
        """Return the layer below the interpreter, made once."""
        if sys.platform == "win32":
            raise ImageError(Reason.NO_IMAGE, find_obstacle()[0])
        from matrix.docker.images.build_folder import open_build_folder  # noqa: PLC0415

        packages = [*suite.base, *read_recipes().host.packages[suite.name]]
        folder = self._cache / "images"
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"base-{recipe_key(_VERSION, suite, target.debian, packages)}.tar"
        if not kept.exists():
            with open_build_folder(folder) as shop:
                made = unpack_packages(suite, target, packages, shop, self._tool)
                made.path.replace(kept)
        return read_layer(kept)


def write_python_layer(executable: Path, layout: InterpreterLayout, path: Path) -> Layer:
    """Write the layer of an interpreter: itself and its standard library, at the same paths."""
    globs = read_recipes().host.leave_out
    with LayerWriter(path) as writer:
        files = [str(executable), *(file for file in _library(layout))]
        files += [file for folder in layout.folders for file in _files(folder, globs)]
        for file in dict.fromkeys(files):
            # Whoever runs there must get through every folder above, /root for one.
            writer.folder(os.path.dirname(file))  # noqa: PTH120 - a path inside
            writer.copy(Path(file), file)
        if layout.library and layout.library_path != layout.library:
            writer.folder(os.path.dirname(layout.library_path))  # noqa: PTH120
            writer.link(layout.library_path, layout.library)
    return writer.layer


def _library(layout: InterpreterLayout) -> list[str]:
    return [layout.library] if layout.library else []


def _files(folder: str, leave_out: Sequence[str]) -> Iterator[str]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name != "__pycache__" and not any(fnmatch.fnmatch(name, glob) for glob in leave_out)
        )
        for name in sorted(files):
            file = Path(here, name)
            if not name.endswith(_USELESS) and file.is_file():
                yield str(file)


def _suite_for(interpreter: Interpreter, recipe: HostRecipe) -> Suite | None:
    """Return the first suite whose C library is at least the interpreter's machine's."""
    kind, _, version = interpreter.libc.partition(" ")
    if kind != "glibc":
        return None
    try:
        wanted = Version(version)
    except InvalidVersion:
        return None
    for name in recipe.suites:
        suite = read_recipes().suite(name)
        if Version(suite.libc) >= wanted:
            return suite
    return None


def _name(interpreter: Interpreter, suite: Suite) -> str:
    return f"{interpreter.source} on debian {suite.name}"


def _key(
    interpreter: Interpreter, layout: InterpreterLayout, suite: Suite, target: ImageTarget
) -> str:
    recipe = read_recipes().host
    return recipe_key(
        _VERSION,
        suite.name,
        suite.base,
        suite.leave_out,
        target.debian,
        recipe.packages[suite.name],
        recipe.leave_out,
        read_recipes().inside,
        str(interpreter.executable),
        interpreter.build,
        layout,
    )
