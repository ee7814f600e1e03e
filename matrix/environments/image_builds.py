"""What is run in containers so that trees can be made: the programs, and how they are held.

The programs are plain Python 2.7 to 3.14. What they make comes back on standard output, so that it
does not matter whether the engine sees this machine's folders, or whose files would come of it.

Byte code of unpacked wheels, made once for each CPython minor: trees are mounted read-only.

The magic number and the name's tag are the same for all builds of a minor on all CPUs, and the time
of the source that the byte code carries stays with the hard-linked file. So any CPython of the
minor will do: one of this machine (a second for a tracer), else one in a container.
"""

from __future__ import annotations

import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from matrix.docker.interface import (
    Confinement,
    ContainerEngine,
    ContainerError,
    ContainerResult,
    ContainerSpec,
    EngineLostError,
    Mount,
)
from matrix.environments.cache_folders import put
from matrix.environments.download import UnpackedWheels
from matrix.environments.errors import BuildError
from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Image, Interpreter
from matrix.model.reason import Reason

__all__ = ["BUILD", "COMPILE", "ByteCodeCache", "ImageCommand"]

COMPILE = """\
import json, os, py_compile, sys, tarfile, tempfile
try:
    from importlib.util import cache_from_source as place
except ImportError:
    place = lambda path: path + "c"
sources = json.loads(sys.argv[1])
target = sys.argv[2] if sys.argv[2:] else tempfile.mkdtemp()
for number, source in enumerate(sources):
    for folder, _, files in os.walk(source):
        for name in files:
            if not name.endswith(".py"):
                continue
            path = os.path.join(folder, name)
            made = os.path.join(target, str(number), os.path.relpath(place(path), source))
            if not os.path.isdir(os.path.dirname(made)):
                os.makedirs(os.path.dirname(made))
            try:
                py_compile.compile(path, made, os.path.relpath(path, source), True)
            except Exception:  # a file for another Python
                pass
if not sys.argv[2:]:
    out = tarfile.open(fileobj=getattr(sys.stdout, "buffer", sys.stdout), mode="w|")
    out.add(target, ".")
    out.close()
"""
"""Compiles the folders that its first argument lists into numbered ones below its second, or into
a tar file on standard output.
"""

BUILD = """\
import os, subprocess, sys, tempfile
folder = tempfile.mkdtemp()
code = subprocess.call(
    [sys.executable, "-W", "ignore", "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    + ["--no-index", "--no-cache-dir", "--disable-pip-version-check"]
    + ["--wheel-dir", folder, sys.argv[1]],
    stdout=2,
)
if code:
    sys.exit(code)
(name,) = os.listdir(folder)
out = getattr(sys.stdout, "buffer", sys.stdout)
out.write(name.encode("utf-8") + b"\\n")
with open(os.path.join(folder, name), "rb") as made:
    out.write(made.read())
out.flush()
"""
"""Writes the name of the wheel of its argument to standard output, a new line, and the wheel."""

_ENVIRONMENT = {
    "HOME": "/tmp",  # noqa: S108 - inside
    "TMPDIR": "/tmp",  # noqa: S108
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}


class ImageCommand:
    """Runs the interpreter of an image to its end, as confined as a cell is."""

    def __init__(self, engine: ContainerEngine | None, seconds: float) -> None:
        self._engine = engine
        self._seconds = seconds

    def run(
        self,
        image: Image,
        arguments: Sequence[str],
        *,
        mounts: tuple[Mount, ...],
        confinement: Confinement,
    ) -> ContainerResult:
        """Return how it ended; raise BuildError where it was not run, not in time, or failed for
        want of memory.
        """
        if self._engine is None:
            raise BuildError(Reason.ENGINE_LOST, "no container engine is at hand to run an image")
        spec = ContainerSpec(
            image=image.id,
            platform=image.platform,
            argv=(*image.launch, image.executable, *arguments),
            environment={**_ENVIRONMENT, **dict(image.environment)},
            mounts=mounts,
            confinement=confinement,
        )
        try:
            ran = self._engine.run(spec, self._seconds)
        except EngineLostError as error:
            raise BuildError(Reason.ENGINE_LOST, str(error)) from error
        except ContainerError as error:
            raise BuildError(Reason.CONTAINER_LOST, str(error)) from error
        if ran.timed_out:
            said = f"a container of {image.name} took longer than {self._seconds:g} s"
            raise BuildError(Reason.TIMED_OUT, said, ran.err.decode("utf-8", "replace"))
        if ran.oom and ran.code != 0:
            # What failed then, a compiler mostly, did not do so for its own reasons.
            said = f"{confinement.memory >> 20} MiB did not suffice in a container of {image.name}"
            raise BuildError(Reason.OUT_OF_MEMORY, said, ran.err.decode("utf-8", "replace"))
        return ran


_TMP_BYTES = 1024**3


class ByteCodeCache:
    """`compiled/<minor>/<wheel>/` holds what belongs beside the files of an unpacked wheel."""

    def __init__(
        self,
        tools: Toolbox,
        inside: ImageCommand,
        interpreters: Callable[[], Sequence[Interpreter]],
    ) -> None:
        self._tools = tools
        self._inside = inside
        self._interpreters = interpreters

    def folders(self, minor: str, wheels: Sequence[UnpackedWheels], image: Image) -> list[Path]:
        """Return a folder of byte code for each wheel; `image` compiles where nothing else can.

        Files that this CPython cannot read have none: that is no failure.
        """
        home = self._tools.root / "compiled" / minor
        folders = [home / wheel.key for wheel in wheels]
        todo = [
            (wheel, folder)
            for wheel, folder in zip(wheels, folders, strict=True)
            if not folder.exists()
        ]
        if todo:
            home.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(dir=home, prefix=".part-"))
            try:
                self._compile(minor, [wheel for wheel, _ in todo], part, image)
                for number, (_, folder) in enumerate(todo):
                    made = part / str(number)
                    made.mkdir(exist_ok=True)
                    put(made, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        return folders

    def _compile(
        self, minor: str, wheels: Sequence[UnpackedWheels], part: Path, image: Image
    ) -> None:
        options = ["-S", "-E", "-W", "ignore", "-c", COMPILE]
        for interpreter in self._interpreters():
            if interpreter.python == minor:
                sources = json.dumps([str(wheel.folder) for wheel in wheels])
                self._tools.run([str(interpreter.executable), *options, sources, str(part)], {})
                return
        mounts = tuple(
            Mount(wheel.folder, f"/cell/wheels/{number}", key=wheel.key)
            for number, wheel in enumerate(wheels)
        )
        made = self._inside.run(
            image,
            [*options, json.dumps([mount.target for mount in mounts])],
            mounts=mounts,
            confinement=Confinement(tmp_bytes=_TMP_BYTES),
        )
        if made.code != 0:
            log = made.err.decode("utf-8", "replace")
            last = (log.strip().splitlines() or ["it said nothing"])[-1]
            said = f"byte code for CPython {minor} cannot be made (exit code {made.code}): {last}"
            raise BuildError(Reason.BUILD_FAILED, said, log)
        _untar(made.out, part)


def _untar(raw: bytes, folder: Path) -> None:
    """Write the byte code that a container handed over, and nothing else: it may hand over all."""
    try:
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                plain = not path.is_absolute() and ".." not in path.parts
                if not plain or not member.isfile() or member.issparse() or path.suffix != ".pyc":
                    continue
                stream = archive.extractfile(member)
                if stream is None:
                    continue
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(stream.read())
    except tarfile.TarError as error:
        raise BuildError(Reason.BUILD_FAILED, f"byte code came damaged: {error}") from error
