"""From layers to an image in the engine, with byte code that its own interpreter compiled.

The root file system of a cell is read-only: without byte code, every start would compile the
library again. So the layers become an image, a container of it compiles, and what came of it is
one more layer of the image that stays.
"""

from __future__ import annotations

import dataclasses
import io
import tarfile
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix.docker.images.layers import Content, Layer, LayerWriter, write_archive
from matrix.docker.images.mmdebstrap import from_os_error
from matrix.docker.images.recipes import ImageTarget, recipes
from matrix.docker.images.source import ImageError
from matrix.docker.interface import ContainerEngine, ContainerError, ContainerResult, ContainerSpec
from matrix.docker.labels import PROJECT_LABELS
from matrix.model.reason import Reason
from matrix.system.paths import fixtures_dir

__all__ = ["KEY", "ImageBuild", "make", "own_layer", "run_inside", "settings"]

KEY = "compat-matrix.image"
"""The label that has the key of an image's recipe."""

# Emulated, it takes seven seconds; on a busy machine with one core many times that.
_SECONDS = 300.0
_MOST_BYTES = 256 * 1024**2

_USER = 1000
_FILES = {
    "/etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        f"cell:x:{_USER}:{_USER}:cell:/tmp:/usr/sbin/nologin\n"
    ),
    "/etc/group": f"root:x:0:\nnogroup:x:65534:\ncell:x:{_USER}:\n",
    # What a maintainer script would have put there.
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


@dataclasses.dataclass(frozen=True)
class ImageBuild:
    """What an image is made of; `executables` are the interpreters inside that compile."""

    key: str
    target: ImageTarget
    layers: Sequence[Layer]
    executables: Sequence[str]
    tag: str


def own_layer(path: Path, sites: Sequence[str]) -> Layer:
    """Write the layer that every image has: who is there, and folders to mount things at."""
    with LayerWriter(path) as writer:
        writer.folder("/etc")
        for name, text in _FILES.items():
            writer.file(name, text.encode())
        for folder in (*recipes().inside.mount_points, *sites):
            writer.folder(folder)
    return writer.layer


def make(making: ImageBuild, engine: ContainerEngine, folder: Path) -> str:
    """Load the image, byte code and all, working in `folder`; return its id. Raises ImageError."""
    try:
        raw = _load(making, (), engine, folder)
        try:
            compiled = _compiled(making, raw, engine, folder)
            return _load(making, (compiled,), engine, folder)
        finally:
            engine.discard(raw)
    except ContainerError as error:
        full = "no space left on device" in str(error)
        raise ImageError(Reason.DISK_FULL if full else Reason.NO_IMAGE, str(error)) from error
    except OSError as error:
        raise from_os_error(error) from error


def run_inside(
    engine: ContainerEngine,
    image: str,
    target: ImageTarget,
    executable: str,
    script: str,
    *arguments: str,
) -> ContainerResult:
    """Run one of our scripts in a container of an image; raise ContainerError as the engine does.

    The script comes by standard input: that works wherever the engine is.
    """
    argv = (*target.launch, executable, "-E", "-s", "-", *arguments)
    text = (fixtures_dir() / "images" / script).read_bytes()
    environment = dict(settings(target, engine))
    return engine.run(ContainerSpec(image, target.platform, argv, environment), _SECONDS, text)


def settings(target: ImageTarget, engine: ContainerEngine) -> tuple[tuple[str, str], ...]:
    """Return what every process of a target must be given on this engine."""
    return target.emulated if target.platform != engine.info.platform else ()


def _load(making: ImageBuild, more: Sequence[Layer], engine: ContainerEngine, folder: Path) -> str:
    done = bool(more)
    content = Content(
        platform=making.target.platform,
        layers=(*making.layers, *more),
        environment={"PATH": recipes().inside.path},
        labels={**PROJECT_LABELS, **({KEY: making.key} if done else {})},
        tag=making.tag if done else "",
    )
    with tempfile.TemporaryFile(dir=folder) as archive:
        write_archive(content, archive)
        archive.seek(0)
        return engine.load(archive)


def _compiled(making: ImageBuild, image: str, engine: ContainerEngine, folder: Path) -> Layer:
    """Return the layer of byte code; folders lie below already, but for those of byte code."""
    with LayerWriter(folder / "compiled.tar") as writer:
        written: set[str] = set()
        for executable in making.executables:
            ran = run_inside(engine, image, making.target, executable, "compiling.py")
            if ran.code != 0 or ran.timed_out:
                raise ImageError(Reason.NO_IMAGE, f"{executable} does not run: {_last(ran)}")
            for name, data in sorted(_members(ran.out).items()):
                if name not in written:
                    written.add(name)
                    writer.folder(name.rpartition("/")[0])
                    writer.file(name, data)
    return writer.layer


def _members(archive: bytes) -> Mapping[str, bytes]:
    """Return the files in an archive that a container handed over. Raises ImageError."""
    try:
        return _read(archive)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ImageError(Reason.NO_IMAGE, f"byte code came damaged: {error}") from error


def _read(archive: bytes) -> Mapping[str, bytes]:
    found: dict[str, bytes] = {}
    total = 0
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r|gz") as tar:
        for info in tar:
            total += info.size
            if total > _MOST_BYTES:
                raise ImageError(Reason.NO_IMAGE, "its byte code is larger than any library")
            stream = tar.extractfile(info)
            if stream is not None:
                found["/" + info.name] = stream.read()
    return found


def _last(ran: ContainerResult) -> str:
    if ran.timed_out:
        return "not done in time"
    lines = ran.err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {ran.code}"
