"""Wheels of source distributions, each built once, in a container without network.

A pure wheel is the same for all CPUs, so an image for the engine's own CPU tries first, where there
is one; a wheel for one CPU is built in the image that it is for. A pure wheel that this machine's
interpreter built to read its version (CPython 2.7 and 3.5) is used as well.

The build environment has tools of the CPython's time, and the build requirements of the source.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import lzma
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from matrix.docker.interface import Confinement, ContainerResult, Mount
from matrix.environments.cache_folders import Artifacts
from matrix.environments.download import ChosenFile
from matrix.environments.errors import BuildError, find_cause, from_log
from matrix.environments.image_builds import BUILD_WHEEL, ImageCommand, read_script
from matrix.environments.toolbox import Toolbox
from matrix.model.environment import Environment, Image, Requirements
from matrix.model.reason import Reason
from matrix.pypi.tags import supported_tags
from matrix.pypi.wheel_reader import DAMAGE_ERRORS
from matrix.system.files import TOMLDecodeError, parse_toml, read_data

_MAX_PYPROJECT_BYTES = 1024 * 1024
_MAX_MEMBERS = 100_000  # pyproject.toml is near the start
_CONFINEMENT = Confinement(memory=3 * 1024**3, pids=512, tmp_bytes=1024**3)
# Each run of setup.py reveals one more of its `setup_requires`.
_MAX_ROUNDS = 5
_PIP_NO_MATCH = re.compile(r"No matching distribution found for (?P<name>[A-Za-z0-9][^\s(;]*)")


def tools_for(minor: str, uploaded: str, requires: Sequence[str]) -> Requirements:
    """Return the requirements of a build environment, as wheels only.

    `requires` are those of the source distribution, `uploaded` is its day (`2019-04-01`, or "").
    """
    tools = read_data("build_tools")["python"].get(minor)
    if tools is None:
        detail = f"no build tools for CPython {minor} in data/build_tools.toml"
        raise BuildError(Reason.BUILD_FAILED, detail)
    since: dt.date = tools["since"]
    day = max(since, dt.date.fromisoformat(uploaded)) if uploaded else since
    required = {str(canonicalize_name(item.name)): item for item in map(Requirement, requires)}
    suitable = [
        tool
        for tool in map(Requirement, tools["requires"])
        if _satisfies(tool, required.get(canonicalize_name(tool.name)))
    ]
    # One line per name: the old resolver of pip refuses a second requirement of the same name.
    for tool in suitable:
        required.pop(str(canonicalize_name(tool.name)), None)
    unpinned = [tool for tool in suitable if not tool.specifier]
    return Requirements(
        pins=tuple(sorted(str(tool) for tool in suitable if tool.specifier)),
        also=tuple(sorted(map(str, (*required.values(), *unpinned)))),
        as_of=day,
        only_binary=(":all:",),
    )


def build_requires(source: Path) -> tuple[str, ...]:
    """Return `build-system.requires` of a source distribution, () without a pyproject.toml."""
    try:
        text = _read_pyproject(source)
        table = parse_toml(text) if text else {}
        requires = table.get("build-system", {}).get("requires", [])
        return tuple(sorted({str(Requirement(item)) for item in requires}))
    except (
        *(*DAMAGE_ERRORS, tarfile.TarError, lzma.LZMAError),
        *(TOMLDecodeError, InvalidRequirement, TypeError, AttributeError),
    ) as error:
        detail = f"{source.name} is damaged: {error}"
        raise BuildError(Reason.BUILD_FAILED, detail) from error


def _satisfies(tool: Requirement, required: Requirement | None) -> bool:
    """Return whether a tool, with its pin, satisfies a requirement of the same name."""
    if required is None:
        return True
    if not tool.specifier:
        return not required.specifier
    version = next(iter(tool.specifier)).version
    return required.specifier.contains(version, prereleases=True)


def _read_pyproject(source: Path) -> str:
    if source.suffix == ".zip":
        with zipfile.ZipFile(source) as archive:
            for item in archive.infolist():
                if _is_pyproject(item.filename):
                    with archive.open(item) as stream:
                        return stream.read(_MAX_PYPROJECT_BYTES).decode("utf-8")
        return ""
    with tarfile.open(source) as archive:
        for number, member in enumerate(archive):
            if number > _MAX_MEMBERS:
                break
            if member.isfile() and not member.issparse() and _is_pyproject(member.name):
                opened = archive.extractfile(member)
                return opened.read(_MAX_PYPROJECT_BYTES).decode("utf-8") if opened else ""
    return ""


def _is_pyproject(name: str) -> bool:
    parts = [part for part in name.split("/") if part != "."]
    return len(parts) == 2 and parts[1] == "pyproject.toml"  # noqa: PLR2004 - folder and file


@dataclasses.dataclass(frozen=True)
class SdistWheels:
    """Builds and caches wheels of source distributions.

    `environment` makes an environment of an image; `native` returns an image for a CPython minor
    that the engine runs without emulation, if there is one; `host_builders` are the names under
    which `Artifacts` has wheels that this machine built for a CPython minor.
    """

    tools: Toolbox
    artifacts: Artifacts
    command: ImageCommand
    environment: Callable[[Image, Requirements], Environment]
    native: Callable[[str], Image | None]
    host_builders: Callable[[str], Sequence[str]]

    def wheel(self, image: Image, chosen: ChosenFile, source: Path) -> Path:
        """Return the wheel for `image`; raise BuildError with the cause."""
        with self.tools.guard(f"source-{chosen.sha256[:32]}"):
            existing = self._find(image, chosen)
            if existing is not None:
                return existing
            failure: BuildError | None = None
            for builder in self._builders(image):
                try:
                    wheel = self._build(builder, chosen, source)
                except BuildError as error:
                    if builder.id == image.id or error.transient:
                        raise
                    failure = error
                    continue
                if builder.id == image.id or is_pure(wheel):
                    return wheel
        raise failure or BuildError(Reason.BUILD_FAILED, f"{chosen.filename} has no suitable wheel")

    def _builders(self, image: Image) -> Iterator[Image]:
        native = self.native(image.minor)
        if native is not None and native.id != image.id:
            yield native
        yield image

    def _find(self, image: Image, chosen: ChosenFile) -> Path | None:
        own = (_pure_builder(image), _image_builder(image))
        for builder in (*own, *self.host_builders(image.minor)):
            wheel = self.artifacts.find_wheel(builder, chosen.sha256)
            if wheel is not None and (builder in own or is_pure(wheel)):
                return wheel
        return None

    def _build(self, image: Image, chosen: ChosenFile, source: Path) -> Path:
        requires = set(build_requires(source))
        for _ in range(_MAX_ROUNDS):
            requirements = tools_for(image.minor, chosen.uploaded, sorted(requires))
            tools = self.environment(image, requirements)
            result = self._run(image, tools, source)
            if result.code == 0:
                return self._store(image, chosen, result.out)
            log = result.err.decode("utf-8", "replace")
            missing = _PIP_NO_MATCH.search(log)
            if missing is None or missing["name"] in requires:
                break
            requires.add(missing["name"])
        detail = f"cannot build {chosen.filename} in {image.name}: {_cause(log)}"
        raise BuildError(Reason.BUILD_FAILED, detail, from_log(log).log)

    def _run(self, image: Image, tools: Environment, source: Path) -> ContainerResult:
        assert tools.tree is not None  # noqa: S101 - of an image
        mounts = (
            Mount(tools.tree, image.site, key=f"tree-{tools.key}"),
            Mount(source.parent, "/cell/source", key=f"file-{source.parent.name}"),
        )
        arguments = ["-W", "ignore", "-c", read_script(BUILD_WHEEL), f"/cell/source/{source.name}"]
        return self.command.run(image, arguments, mounts=mounts, confinement=_CONFINEMENT)

    def _store(self, image: Image, chosen: ChosenFile, out: bytes) -> Path:
        """Store the wheel in the output of a container, after a check of its name."""
        line, _, content = out.partition(b"\n")
        filename = line.decode("utf-8", "replace")
        _check_filename(filename, chosen, image)
        with self.tools.scratch() as folder:
            path = folder / filename
            path.write_bytes(content)
            builder = _pure_builder(image) if is_pure(path) else _image_builder(image)
            return self.artifacts.add_wheel(builder, chosen.sha256, path)


def is_pure(wheel: Path) -> bool:
    """Return whether a wheel is for all CPUs and systems, by its name."""
    tags = parse_wheel_filename(wheel.name)[3]
    return all(tag.platform == "any" and tag.abi == "none" for tag in tags)


def _check_filename(filename: str, chosen: ChosenFile, image: Image) -> None:
    tags: frozenset[Tag] = frozenset()
    try:
        name, version, _, tags = parse_wheel_filename(filename)
        matches = name == chosen.name and version == Version(chosen.version)
    except (InvalidWheelFilename, InvalidVersion):
        matches = False
    if not matches or "/" in filename or "\\" in filename:
        detail = f"the build of {chosen.filename} returned an unexpected file: {filename[:100]!r}"
        raise BuildError(Reason.WRONG_INSTALL, detail)
    if tags.isdisjoint(supported_tags(image.minor, image.target, image.libc)):
        detail = f"{filename}, built from {chosen.filename}, is not for {image.name}"
        raise BuildError(Reason.WRONG_INSTALL, detail)


def _pure_builder(image: Image) -> str:
    return f"py{image.python.partition('.')[0]}"


def _image_builder(image: Image) -> str:
    digest = hashlib.sha256(image.id.encode("utf-8")).hexdigest()[:12]
    return f"{image.minor}-{image.target}-{digest}"


def _cause(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    return find_cause(lines)[:300] or from_log(log).detail
