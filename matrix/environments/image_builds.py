"""Builds in containers of an image: how scripts are run there, and the cache of byte code.

The scripts (`fixtures/images/`) write their results to standard output, so that the engine needs no
writable folder of this machine.
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, cast

from matrix.docker.interface import (
    Confinement,
    ContainerEngine,
    ContainerError,
    ContainerResult,
    ContainerSpec,
    EngineLostError,
    Mount,
)
from matrix.environments.cache_folders import put_folder, scratch_beside
from matrix.environments.download import UnpackedWheels
from matrix.environments.errors import BuildError
from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Image, Interpreter
from matrix.model.reason import Reason
from matrix.system.paths import fixtures_dir

BUILD_WHEEL = "build_wheel.py"
COMPILE_BYTECODE = "compile_bytecode.py"

_MAX_TMP_BYTES = 1024**3
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


@functools.cache
def read_script(name: str) -> str:
    """Return the text of a script for images, which is run by `python -c`."""
    return (fixtures_dir() / "images" / name).read_text("utf-8")


@dataclasses.dataclass(frozen=True)
class ImageCommand:
    """Runs of an image's interpreter in containers with the confinement of cells."""

    engine: ContainerEngine | None
    seconds: float

    def run(
        self,
        image: Image,
        arguments: Sequence[str],
        *,
        mounts: tuple[Mount, ...],
        confinement: Confinement,
    ) -> ContainerResult:
        """Run the interpreter with these arguments; return the result, whatever the exit code.

        Raises BuildError for a lost engine or container, a timeout, and for too little memory.
        """
        if self.engine is None:
            raise BuildError(Reason.ENGINE_LOST, "cannot run an image without a container engine")
        spec = ContainerSpec(
            image=image.id,
            platform=image.platform,
            argv=(*image.launch, image.executable, *arguments),
            environment={**_ENVIRONMENT, **dict(image.environment)},
            mounts=mounts,
            confinement=confinement,
        )
        try:
            result = self.engine.run(spec, self.seconds)
        except EngineLostError as error:
            raise BuildError(Reason.ENGINE_LOST, str(error)) from error
        except ContainerError as error:
            raise BuildError(Reason.CONTAINER_LOST, str(error)) from error
        if result.timed_out:
            detail = f"a container of {image.name} took longer than {self.seconds:g} s"
            raise BuildError(Reason.TIMED_OUT, detail, result.err.decode("utf-8", "replace"))
        if result.oom and result.code != 0:
            # The failure, of a compiler in most cases, is a consequence.
            detail = (
                f"{confinement.memory >> 20} MiB did not suffice in a container of {image.name}"
            )
            raise BuildError(Reason.OUT_OF_MEMORY, detail, result.err.decode("utf-8", "replace"))
        return result


@dataclasses.dataclass(frozen=True)
class ByteCodeCache:
    """Byte code at `compiled/<minor>/<wheel>/` for the files of an unpacked wheel.

    Trees are mounted read-only. Magic number and name tag are equal for all builds of a minor on
    all CPUs, and the source's time in the byte code is that of the hard-linked file. So any CPython
    of the minor can compile: one of this machine (1 s for a tracer), or else one in a container.
    """

    tools: Toolbox
    command: ImageCommand
    interpreters: Callable[[], Sequence[Interpreter]]

    def folders(self, minor: str, wheels: Sequence[UnpackedWheels], image: Image) -> list[Path]:
        """Return a folder of byte code for each wheel; compile in `image` where necessary.

        Files that the CPython cannot compile have none, without an error.
        """
        parent = self.tools.root / "compiled" / minor
        folders = [parent / wheel.key for wheel in wheels]
        pairs = zip(wheels, folders, strict=True)
        with self.tools.guard(f"compiled-{minor}"):
            missing = [pair for pair in pairs if self.tools.discard_changed(pair[1])]
            if missing:
                with scratch_beside(folders[0]) as part:
                    self._compile(minor, [wheel for wheel, _ in missing], part, image)
                    for number, (_, folder) in enumerate(missing):
                        compiled = part / str(number)
                        compiled.mkdir(exist_ok=True)
                        put_folder(compiled, folder)
                        self.tools.manifests.write(folder)
        return folders

    def _compile(
        self, minor: str, wheels: Sequence[UnpackedWheels], part: Path, image: Image
    ) -> None:
        options = ["-S", "-E", "-W", "ignore", "-c", read_script(COMPILE_BYTECODE)]
        for interpreter in self.interpreters():
            if interpreter.python == minor:
                sources = json.dumps([str(wheel.folder) for wheel in wheels])
                self.tools.run([str(interpreter.executable), *options, sources, str(part)], {})
                return
        mounts = tuple(
            Mount(wheel.folder, f"/cell/wheels/{number}", key=wheel.key)
            for number, wheel in enumerate(wheels)
        )
        result = self.command.run(
            image,
            [*options, json.dumps([mount.target for mount in mounts])],
            mounts=mounts,
            confinement=Confinement(tmp_bytes=_MAX_TMP_BYTES),
        )
        if result.code != 0:
            log = result.err.decode("utf-8", "replace")
            last = (log.strip().splitlines() or ["no output"])[-1]
            detail = (
                f"cannot compile byte code for CPython {minor} (exit code {result.code}): {last}"
            )
            raise BuildError(Reason.BUILD_FAILED, detail, log)
        _extract_byte_code(result.out, part)


def _extract_byte_code(raw: bytes, folder: Path) -> None:
    """Extract the `.pyc` files of an untrusted tar file, and nothing else."""
    try:
        with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
            for member in archive:
                path = PurePosixPath(member.name)
                is_below = not path.is_absolute() and ".." not in path.parts
                is_whole = member.isfile() and not member.issparse()
                if is_below and is_whole and path.suffix == ".pyc":
                    target = folder / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    # None for links and devices only.
                    stream = cast("IO[bytes]", archive.extractfile(member))
                    target.write_bytes(stream.read())
    except tarfile.TarError as error:
        raise BuildError(Reason.BUILD_FAILED, f"damaged archive of byte code: {error}") from error
