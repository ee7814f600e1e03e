"""Images built from layers, with byte code that their own interpreters compiled.

The root file system of a cell is read-only: without byte code, every start would compile the
library again. So the layers are loaded as a temporary image, a container of it compiles, and the
byte code is one more layer of the final image.
"""

from __future__ import annotations

import dataclasses
import io
import tarfile
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from matrix.docker.images.interface import ImageError
from matrix.docker.images.layers import ImageContent, Layer, LayerWriter, write_archive
from matrix.docker.images.recipes import ImageTarget, read_recipes
from matrix.docker.interface import ContainerEngine, ContainerError, ContainerResult, ContainerSpec
from matrix.docker.labels import PROJECT_LABELS
from matrix.model.reason import Reason
from matrix.system.paths import fixtures_dir

KEY_LABEL = "compat-matrix.image"
"""The label with the key of an image's recipe."""

# Emulated it takes seven seconds, and many times that on a busy machine with one core.
_SECONDS = 300.0
_MAX_BYTES = 256 * 1024**2

_USER = 1000
_FILES = {
    "/etc/passwd": (
        "root:x:0:0:root:/root:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        f"cell:x:{_USER}:{_USER}:cell:/tmp:/usr/sbin/nologin\n"
    ),
    "/etc/group": f"root:x:0:\nnogroup:x:65534:\ncell:x:{_USER}:\n",
    # Debian creates it in a maintainer script.
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


@dataclasses.dataclass(frozen=True)
class ImageBuild:
    """Parts of an image; `executables` are the interpreters in it that compile byte code."""

    key: str
    target: ImageTarget
    layers: Sequence[Layer]
    executables: Sequence[str]
    tag: str


def write_system_layer(path: Path, sites: Sequence[str]) -> Layer:
    """Write the layer that every image has: users, and folders to mount things at."""
    with LayerWriter(path) as writer:
        writer.folder("/etc")
        for name, text in _FILES.items():
            writer.file(name, text.encode())
        for folder in (*read_recipes().inside.mount_points, *sites):
            writer.folder(folder)
    return writer.layer


def build_image(build: ImageBuild, engine: ContainerEngine, folder: Path) -> str:
    """Build an image with byte code in `folder`; return its id. Raises ImageError, OSError."""
    try:
        raw = _load(build, (), engine, folder)
        try:
            compiled = _compile(build, raw, engine, folder)
            return _load(build, (compiled,), engine, folder)
        finally:
            engine.discard(raw)
    except ContainerError as error:
        full = "no space left on device" in str(error)
        raise ImageError(Reason.DISK_FULL if full else Reason.NO_IMAGE, str(error)) from error


def run_script(
    engine: ContainerEngine,
    image: str,
    target: ImageTarget,
    executable: str,
    script: str,
    *arguments: str,
) -> ContainerResult:
    """Run a script of `fixtures/images` in a container of an image; raise ContainerError.

    The script is sent by standard input, which works wherever the engine is.
    """
    argv = (*target.launch, executable, "-E", "-s", "-", *arguments)
    text = (fixtures_dir() / "images" / script).read_bytes()
    environment = dict(emulation_environment(target, engine))
    return engine.run(ContainerSpec(image, target.platform, argv, environment), _SECONDS, text)


def describe_failure(result: ContainerResult) -> str:
    """Return the last line of a script's errors, or its exit code without any."""
    if result.timed_out:
        return "not done in time"
    lines = result.err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"exit code {result.code}"


def emulation_environment(
    target: ImageTarget, engine: ContainerEngine
) -> tuple[tuple[str, str], ...]:
    """Return the environment variables that all processes of a target need on this engine."""
    return target.emulated if target.platform != engine.info.platform else ()


def _load(
    build: ImageBuild, compiled: Sequence[Layer], engine: ContainerEngine, folder: Path
) -> str:
    """Load an image into the engine, with label and tag where byte code is compiled."""
    final = bool(compiled)
    content = ImageContent(
        platform=build.target.platform,
        layers=(*build.layers, *compiled),
        environment={"PATH": read_recipes().inside.path},
        labels={**PROJECT_LABELS, **({KEY_LABEL: build.key} if final else {})},
        tag=build.tag if final else "",
    )
    with tempfile.TemporaryFile(dir=folder) as archive:
        write_archive(content, archive)
        archive.seek(0)
        return engine.load(archive)


def _compile(build: ImageBuild, image: str, engine: ContainerEngine, folder: Path) -> Layer:
    """Write the layer of byte code; only its own folders are not in the layers below."""
    with LayerWriter(folder / "compiled.tar") as writer:
        written: set[str] = set()
        for executable in build.executables:
            result = run_script(engine, image, build.target, executable, "compile_library.py")
            if result.code != 0 or result.timed_out:
                detail = f"{executable} does not run: {describe_failure(result)}"
                raise ImageError(Reason.NO_IMAGE, detail)
            for name, data in sorted(_read_archive(result.out).items()):
                if name not in written:
                    written.add(name)
                    writer.folder(name.rpartition("/")[0])
                    writer.file(name, data)
    return writer.layer


def _read_archive(archive: bytes) -> Mapping[str, bytes]:
    """Return the files in an archive that a container sent. Raises ImageError."""
    files: dict[str, bytes] = {}
    total = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r|gz") as tar:
            for info in tar:
                total += info.size
                if total > _MAX_BYTES:
                    detail = f"byte code of more than {_MAX_BYTES} bytes"
                    raise ImageError(Reason.NO_IMAGE, detail)
                stream = tar.extractfile(info)
                if stream is not None:
                    files["/" + info.name] = stream.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ImageError(Reason.NO_IMAGE, f"damaged byte code: {error}") from error
    return files
