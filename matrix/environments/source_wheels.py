"""Wheels of source distributions, each made once, in a container without network.

What comes out pure is the same for all CPUs, so a container of the engine's own CPU tries first,
where there is an image for one; what comes out for one CPU is made in the very image that it is
for. Where this machine's own interpreter had to make a pure one to read its version (CPython 2.7
and 3.5), that one is as good.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from matrix.containers.seam import Confinement, Mount, Ran
from matrix.environments.artifacts import Artifacts
from matrix.environments.build_tools import build_requires, tools_for
from matrix.environments.causes import cause_of
from matrix.environments.choosing import Chosen
from matrix.environments.failures import BuildError, from_log
from matrix.environments.inside import BUILD, Inside
from matrix.environments.toolbox import Toolbox
from matrix.index.tags import tags_of
from matrix.model.environment import Environment, Requirements
from matrix.model.image import Image
from matrix.model.reason import Reason

__all__ = ["SourceWheels", "is_pure"]

_CONFINEMENT = Confinement(memory=3 * 1024**3, pids=512, tmp_bytes=1024**3)
# `setup_requires` is only known when setup.py runs; each run tells of one more.
_ROUNDS = 5
_MISSING = re.compile(r"No matching distribution found for (?P<wish>[A-Za-z0-9][^\s(;]*)")


@dataclasses.dataclass(frozen=True)
class SourceWheels:
    """`environment` makes an environment of an image; `native` names an image for a CPython that
    the engine runs without emulation, if there is one; `hosts` are this machine's builders for a
    CPython, as `Artifacts` knows them.
    """

    tools: Toolbox
    artifacts: Artifacts
    inside: Inside
    environment: Callable[[Image, Requirements], Environment]
    native: Callable[[str], Image | None]
    hosts: Callable[[str], Sequence[str]]

    def wheel(self, image: Image, chosen: Chosen, source: Path) -> Path:
        """Return the wheel for `image`; raise BuildError with the line that says why not."""
        minor = ".".join(image.python.split(".")[:2])
        with self.tools.guard(f"source-{chosen.sha256[:32]}"):
            found = self._found(image, minor, chosen)
            if found is not None:
                return found
            failed: BuildError | None = None
            for builder in self._builders(image, minor):
                try:
                    wheel = self._build(builder, minor, chosen, source)
                except BuildError as error:
                    if builder.id == image.id or error.passing:
                        raise
                    failed = error
                    continue
                if builder.id == image.id or is_pure(wheel):
                    return wheel
        raise failed or BuildError(Reason.BUILD_FAILED, f"{chosen.filename} made no wheel")

    def _builders(self, image: Image, minor: str) -> Iterator[Image]:
        native = self.native(minor)
        if native is not None and native.id != image.id:
            yield native
        yield image

    def _found(self, image: Image, minor: str, chosen: Chosen) -> Path | None:
        for builder in (_any(minor), _only(image, minor)):
            wheel = self.artifacts.find_wheel(builder, chosen.sha256)
            if wheel is not None:
                return wheel
        for builder in self.hosts(minor):
            wheel = self.artifacts.find_wheel(builder, chosen.sha256)
            if wheel is not None and is_pure(wheel):
                return wheel
        return None

    def _build(self, image: Image, minor: str, chosen: Chosen, source: Path) -> Path:
        asked = set(build_requires(source))
        for _ in range(_ROUNDS):
            tools = self.environment(image, tools_for(minor, chosen.uploaded, sorted(asked)))
            ran = self._run(image, tools, source)
            if ran.code == 0:
                return self._keep(image, minor, chosen, ran.out)
            log = ran.err.decode("utf-8", "replace")
            missing = _MISSING.search(log)
            if missing is None or missing["wish"] in asked:
                break
            asked.add(missing["wish"])
        said = f"{chosen.filename} does not build in {image.name}: {_telling(log)}"
        raise BuildError(Reason.BUILD_FAILED, said, from_log(log).log)

    def _run(self, image: Image, tools: Environment, source: Path) -> Ran:
        assert tools.tree is not None  # noqa: S101 - of an image
        mounts = (
            Mount(tools.tree, image.site, key=f"tree-{tools.key}"),
            Mount(source.parent, "/cell/source", key=f"file-{source.parent.name}"),
        )
        arguments = ["-W", "ignore", "-c", BUILD, f"/cell/source/{source.name}"]
        return self.inside.run(image, arguments, mounts=mounts, confinement=_CONFINEMENT)

    def _keep(self, image: Image, minor: str, chosen: Chosen, out: bytes) -> Path:
        """Keep the wheel that a container handed over, once it is one, and the one asked for."""
        line, _, content = out.partition(b"\n")
        filename = line.decode("utf-8", "replace")
        _check(filename, chosen, image, minor)
        with self.tools.scratch() as folder:
            path = folder / filename
            path.write_bytes(content)
            builder = _any(minor) if is_pure(path) else _only(image, minor)
            return self.artifacts.keep_wheel(builder, chosen.sha256, path)


def is_pure(wheel: Path) -> bool:
    """Return whether a wheel is for all CPUs and systems, as its name says."""
    tags = parse_wheel_filename(wheel.name)[3]
    return all(tag.platform == "any" and tag.abi == "none" for tag in tags)


def _check(filename: str, chosen: Chosen, image: Image, minor: str) -> None:
    tags: frozenset[Tag] = frozenset()
    try:
        name, version, _, tags = parse_wheel_filename(filename)
        right = name == chosen.name and version == Version(chosen.version)
    except (InvalidWheelFilename, InvalidVersion):
        right = False
    right = right and "/" not in filename and "\\" not in filename
    if not right:
        said = f"{chosen.filename} made something else: {filename[:100]!r}"
        raise BuildError(Reason.WRONG_INSTALL, said)
    if tags.isdisjoint(tags_of(minor, image.target, image.libc)):
        said = f"{chosen.filename} made {filename}, which {image.name} does not take"
        raise BuildError(Reason.WRONG_INSTALL, said)


def _any(minor: str) -> str:
    return f"py{minor.partition('.')[0]}"


def _only(image: Image, minor: str) -> str:
    digest = hashlib.sha256(image.id.encode("utf-8")).hexdigest()[:12]
    return f"{minor}-{image.target}-{digest}"


def _telling(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return cause_of(lines)[:300] or from_log(log).detail
