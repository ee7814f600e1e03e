"""Wheels of source distributions, each made once, in a container without network.

What comes out pure is the same for all CPUs, so a container of the engine's own CPU tries first,
where there is an image for one; what comes out for one CPU is made in the very image that it is
for. Where this machine's own interpreter had to make a pure one to read its version (CPython 2.7
and 3.5), that one is as good.

What a source distribution is built with: tools of the CPython's time, and what it asks for.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from matrix.docker.interface import Confinement, ContainerResult, Mount
from matrix.environments.cache_folders import Artifacts
from matrix.environments.download import ChosenFile
from matrix.environments.errors import BuildError, cause_of, from_log
from matrix.environments.image_builds import BUILD, ImageCommand
from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Environment, Image, Requirements
from matrix.model.reason import Reason
from matrix.pypi.tags import supported_tags
from matrix.system.data_files import TOMLDecodeError, parse_toml, read_data

__all__ = ["SdistWheels", "build_requires", "is_pure", "tools_for"]

_MOST_BYTES = 1024 * 1024
# Of the whole archive, as stored: what is looked for stands near the root.
_MOST_MEMBERS = 100_000


def tools_for(minor: str, uploaded: str, asked: Sequence[str]) -> Requirements:
    """Return what the build environment holds: wheels only, as nothing could build it before.

    `asked` is what the source distribution asks for, `uploaded` its day (`2019-04-01`, or "").
    """
    known = _known().get(minor)
    if known is None:
        said = f"there are no build tools for CPython {minor} in data/build_tools.toml"
        raise BuildError(Reason.BUILD_FAILED, said)
    since: dt.date = known["since"]
    day = max(since, dt.date.fromisoformat(uploaded)) if uploaded else since
    wishes = {str(canonicalize_name(wish.name)): wish for wish in map(Requirement, asked)}
    tools = [Requirement(tool) for tool in known["requires"]]
    kept = [tool for tool in tools if _goes_with(tool, wishes.get(canonicalize_name(tool.name)))]
    # One line for each: the old resolver of pip refuses a second requirement of the same name.
    for tool in kept:
        wishes.pop(str(canonicalize_name(tool.name)), None)
    return Requirements(
        pins=tuple(sorted(str(tool) for tool in kept if tool.specifier)),
        also=tuple(sorted(map(str, (*wishes.values(), *(t for t in kept if not t.specifier))))),
        as_of=day,
        only_binary=(":all:",),
    )


def build_requires(source: Path) -> tuple[str, ...]:
    """Return `build-system.requires` of a source distribution's pyproject.toml, () without one."""
    try:
        text = _pyproject(source)
        table = parse_toml(text) if text else {}
        asked = table.get("build-system", {}).get("requires", [])
        return tuple(sorted({str(Requirement(item)) for item in asked}))
    except (
        *(OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, UnicodeDecodeError),
        *(TOMLDecodeError, InvalidRequirement, TypeError, AttributeError),
    ) as error:
        said = f"{source.name} is damaged: {error}"
        raise BuildError(Reason.BUILD_FAILED, said) from error


def _goes_with(tool: Requirement, wish: Requirement | None) -> bool:
    """Return whether a tool may stand for what is asked for: its pin may not suit."""
    if wish is None:
        return True
    if not tool.specifier:
        return not wish.specifier
    version = next(iter(tool.specifier)).version
    return wish.specifier.contains(version, prereleases=True)


@functools.lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = read_data("build_tools")["python"]
    return known


def _pyproject(source: Path) -> str:
    if source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            for item in archive.infolist():
                if _is_it(item.filename):
                    with archive.open(item) as stream:
                        return stream.read(_MOST_BYTES).decode("utf-8")
        return ""
    with tarfile.open(source) as archive:
        for number, member in enumerate(archive):
            if number > _MOST_MEMBERS:
                break
            if member.isfile() and not member.issparse() and _is_it(member.name):
                opened = archive.extractfile(member)
                return opened.read(_MOST_BYTES).decode("utf-8") if opened else ""
    return ""


def _is_it(name: str) -> bool:
    parts = [part for part in name.split("/") if part != "."]
    return len(parts) == 2 and parts[1] == "pyproject.toml"  # noqa: PLR2004 - folder and file


_CONFINEMENT = Confinement(memory=3 * 1024**3, pids=512, tmp_bytes=1024**3)
# `setup_requires` is only known when setup.py runs; each run tells of one more.
_ROUNDS = 5
_MISSING = re.compile(r"No matching distribution found for (?P<wish>[A-Za-z0-9][^\s(;]*)")


@dataclasses.dataclass(frozen=True)
class SdistWheels:
    """`environment` makes an environment of an image; `native` names an image for a CPython that
    the engine runs without emulation, if there is one; `hosts` are this machine's builders for a
    CPython, as `Artifacts` knows them.
    """

    tools: Toolbox
    artifacts: Artifacts
    inside: ImageCommand
    environment: Callable[[Image, Requirements], Environment]
    native: Callable[[str], Image | None]
    hosts: Callable[[str], Sequence[str]]

    def wheel(self, image: Image, chosen: ChosenFile, source: Path) -> Path:
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

    def _found(self, image: Image, minor: str, chosen: ChosenFile) -> Path | None:
        for builder in (_any(minor), _only(image, minor)):
            wheel = self.artifacts.find_wheel(builder, chosen.sha256)
            if wheel is not None:
                return wheel
        for builder in self.hosts(minor):
            wheel = self.artifacts.find_wheel(builder, chosen.sha256)
            if wheel is not None and is_pure(wheel):
                return wheel
        return None

    def _build(self, image: Image, minor: str, chosen: ChosenFile, source: Path) -> Path:
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

    def _run(self, image: Image, tools: Environment, source: Path) -> ContainerResult:
        assert tools.tree is not None  # noqa: S101 - of an image
        mounts = (
            Mount(tools.tree, image.site, key=f"tree-{tools.key}"),
            Mount(source.parent, "/cell/source", key=f"file-{source.parent.name}"),
        )
        arguments = ["-W", "ignore", "-c", BUILD, f"/cell/source/{source.name}"]
        return self.inside.run(image, arguments, mounts=mounts, confinement=_CONFINEMENT)

    def _keep(self, image: Image, minor: str, chosen: ChosenFile, out: bytes) -> Path:
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


def _check(filename: str, chosen: ChosenFile, image: Image, minor: str) -> None:
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
    if tags.isdisjoint(supported_tags(minor, image.target, image.libc)):
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
