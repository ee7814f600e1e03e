"""Images of this machine's own interpreters, copied to the same paths onto a base of Debian.

They provide CPythons that no suite of Debian has, without a registry, for this machine's OS and CPU
only. An interpreter's paths are read by running it once, and cached.
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
from matrix.docker.images.interface import ImageError, ImageOffer, ReportLine
from matrix.docker.images.layers import Layer, LayerWriter, read_layer
from matrix.docker.images.mmdebstrap import Tool, open_build_folder, run_tool
from matrix.docker.images.recipes import ImageTarget, Suite, read_recipes, recipe_key
from matrix.docker.interface import ContainerEngine
from matrix.interpreters.discovery import find_interpreters
from matrix.interpreters.inspect import InterpreterAnswer, InterpreterCache, NotAnInterpreterError
from matrix.model.environment import Interpreter
from matrix.model.reason import Reason
from matrix.system.paths import fixtures_dir

_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class InterpreterLayout:
    """An interpreter's paths: `folders` of the standard library, `site` of installed packages.

    `library` is the shared library of the interpreter, "" where it is static, and `library_path`
    the path by which it is loaded.
    """

    folders: tuple[str, ...]
    library: str
    library_path: str
    site: str


def read_layout(executable: Path) -> InterpreterAnswer:
    """Return the paths that an interpreter reports; raise NotAnInterpreterError without them."""
    script = fixtures_dir() / "images" / "layout.py"
    try:
        process = subprocess.run(
            [str(executable), "-E", "-s", str(script)],
            capture_output=True,
            check=True,
            env={"LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            timeout=_SECONDS,
        )
        answer = json.loads(process.stdout.decode("utf-8").splitlines()[-1])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        raise NotAnInterpreterError(str(error)) from error
    if not isinstance(answer, dict):
        raise NotAnInterpreterError("its answer is not a JSON object")
    return answer


def make_layout_reader(cache_file: Path | None) -> Callable[[Path], InterpreterLayout]:
    """Return a function that reads a layout, or gets it from the cache; it raises the same."""

    def read(executable: Path) -> InterpreterLayout:
        cache = InterpreterCache(cache_file)
        answer = cache.query(executable, read_layout)
        cache.save()
        try:
            name = answer["library_name"]
            return InterpreterLayout(
                folders=tuple(answer["folders"]),
                library=answer["library"],
                library_path=str(Path(answer["library_folder"]) / name) if name else "",
                site=answer["site"],
            )
        except (KeyError, TypeError) as error:
            raise NotAnInterpreterError("its answer is not a layout") from error

    return read


_VERSION = 1
"""Version of the code that makes the layers; increased with every change of it."""
_LEFT_OUT_SUFFIXES = (".pyc", ".pyo", ".a")


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
        """Store base layers, which several images share, in `cache_dir`."""
        self._cache = cache_dir
        self._tool = tool
        self._find = find
        self._layout = layout or make_layout_reader(cache_dir / "layouts.json")

    def offers(self, engine: ContainerEngine) -> tuple[ImageOffer, ...]:  # noqa: ARG002 - as in the interface
        """Return an offer for each interpreter with a base that is new enough."""
        if sys.platform != "linux":
            return ()
        obstacle, remedy = find_obstacle() if self._tool is run_tool else ("", "")
        offers = []
        for interpreter in self._find():
            suite = _suite_for(interpreter)
            targets = [t for t in read_recipes().targets if t.name == interpreter.target]
            if suite is None or not targets:
                continue
            try:
                layout = self._layout(interpreter.executable)
            except NotAnInterpreterError:
                continue
            offer = ImageOffer(
                source=self.name,
                name=f"{interpreter.source} on debian {suite.name}",
                python=interpreter.python,
                target=interpreter.target,
                platform=targets[0].platform,
                key=_key(interpreter, layout, suite, targets[0]),
                executable=str(interpreter.executable),
                site=layout.site,
                obstacle=obstacle,
                remedy=remedy,
            )
            offers.append(offer)
        return tuple(offers)

    def provide(
        self, offer: ImageOffer, engine: ContainerEngine, report: ReportLine
    ) -> tuple[str, str]:
        """Build the image. Raises ImageError."""
        found = (item for item in self._find() if str(item.executable) == offer.executable)
        interpreter = next(found, None)
        if interpreter is None:
            raise ImageError(Reason.NO_IMAGE, f"{offer.executable} does not exist any more")
        suite = _suite_for(interpreter)
        if suite is None:
            raise ImageError(Reason.NO_IMAGE, f"no suite of Debian has {interpreter.libc} or newer")
        target = read_recipes().target(offer.target)
        report(f"CPython {interpreter.version} of this machine: copying onto {suite.name}")
        try:
            with open_build_folder() as build_folder:
                layout = self._layout(interpreter.executable)
                layers = (
                    self._base(suite, target),
                    write_system_layer(build_folder.folder / "own.tar", [layout.site]),
                    write_python_layer(
                        interpreter.executable, layout, build_folder.folder / "python.tar"
                    ),
                )
                build = ImageBuild(
                    key=offer.key,
                    target=target,
                    layers=layers,
                    executables=[offer.executable],
                    tag=f"compat-matrix:host-{interpreter.version}-{target.name}",
                )
                image = build_image(build, engine, build_folder.folder)
        except NotAnInterpreterError as error:
            raise ImageError(Reason.NO_IMAGE, f"{offer.executable}: {error}") from error
        return image, image

    def _base(self, suite: Suite, target: ImageTarget) -> Layer:
        """Return the layer below the interpreter, unpacked once."""
        packages = [*suite.base, *read_recipes().host.packages[suite.name]]
        folder = self._cache / "images"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"base-{recipe_key(_VERSION, suite, target.debian, packages)}.tar"
        if not path.exists():
            with open_build_folder(folder) as build_folder:
                layer = unpack_packages(suite, target, packages, build_folder, self._tool)
                layer.path.replace(path)
        return read_layer(path)


def write_python_layer(executable: Path, layout: InterpreterLayout, path: Path) -> Layer:
    """Write the layer of an interpreter and its standard library, at the same paths."""
    globs = read_recipes().host.leave_out
    with LayerWriter(path) as writer:
        files = [str(executable), *filter(None, [layout.library])]
        files += [file for folder in layout.folders for file in _list_files(folder, globs)]
        for file in dict.fromkeys(files):
            # Every user must be able to enter its parent folders, /root for one.
            writer.folder(os.path.dirname(file))  # noqa: PTH120 - a path in the image
            writer.copy(Path(file), file)
        if layout.library and layout.library_path != layout.library:
            writer.folder(os.path.dirname(layout.library_path))  # noqa: PTH120
            writer.link(layout.library_path, layout.library)
    return writer.layer


def _list_files(folder: str, leave_out: Sequence[str]) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if name != "__pycache__" and not any(fnmatch.fnmatch(name, glob) for glob in leave_out)
        )
        for name in sorted(files):
            file = Path(parent, name)
            if not name.endswith(_LEFT_OUT_SUFFIXES) and file.is_file():
                yield str(file)


def _suite_for(interpreter: Interpreter) -> Suite | None:
    """Return the first suite whose C library is at least as new as the interpreter's."""
    kind, _, version = interpreter.libc.partition(" ")
    if kind != "glibc":
        return None
    try:
        minimum = Version(version)
    except InvalidVersion:
        return None
    suites = map(read_recipes().suite, read_recipes().host.suites)
    return next((suite for suite in suites if Version(suite.libc) >= minimum), None)


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
