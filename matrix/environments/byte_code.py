"""Byte code of unpacked wheels, made once for each CPython minor: trees are mounted read-only.

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

from matrix.containers.seam import Confinement, Mount
from matrix.environments.failures import BuildError
from matrix.environments.folders import put
from matrix.environments.inside import COMPILE, Inside
from matrix.environments.toolbox import Toolbox
from matrix.environments.unpacking import Unpacked
from matrix.model.environment import Interpreter
from matrix.model.image import Image
from matrix.model.reason import Reason

__all__ = ["ByteCode"]

_TMP_BYTES = 1024**3


class ByteCode:
    """`compiled/<minor>/<wheel>/` holds what belongs beside the files of an unpacked wheel."""

    def __init__(
        self, tools: Toolbox, inside: Inside, interpreters: Callable[[], Sequence[Interpreter]]
    ) -> None:
        self._tools = tools
        self._inside = inside
        self._interpreters = interpreters

    def folders(self, minor: str, wheels: Sequence[Unpacked], image: Image) -> list[Path]:
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

    def _compile(self, minor: str, wheels: Sequence[Unpacked], part: Path, image: Image) -> None:
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
