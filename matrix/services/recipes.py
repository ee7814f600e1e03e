"""The back ends that are known, and the ways to have them: a file each in `data/services/`.

Official images of servers, by digest: `data/service_images.toml`, which a registry fills.

A digest is there only where a registry told it; `services refresh` asks.

Whether a way to have a service can be gone here, and with what.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.docker.platforms import reference
from matrix.errors import UsageError, nearest
from matrix.model.service import ServiceKind
from matrix.services.container import ServerContainer
from matrix.system.paths import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = [
    "UNKEPT",
    "AvailableService",
    "Build",
    "Digests",
    "MissingService",
    "ServiceRecipe",
    "ServiceRecipes",
    "ServiceSource",
    "SetupStep",
    "by_digest",
    "images_path",
    "load_recipes",
    "look",
    "read_images",
    "write_images",
]

_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class SetupStep:
    """Something that is run to its end; `given` is its standard input."""

    run: tuple[str, ...]
    given: str = ""


@dataclasses.dataclass(frozen=True)
class ServiceSource:
    """One way to have a service; the fields are explained in `data/services/README.md`."""

    kind: ServiceKind
    source: str
    commands: tuple[tuple[str, ...], ...]
    packages: str = ""
    requirements: tuple[str, ...] = ()
    as_of: dt.date | None = None
    programs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    version: tuple[str, ...] = ()
    prepare: tuple[SetupStep, ...] = ()
    ready: tuple[SetupStep, ...] = ()
    sockets: tuple[str, ...] = ()
    ports: int = 0
    more_ports: int = 0
    same_ports: bool = False
    image: str = ""
    inside: tuple[int, ...] = ()
    user: str = "1000:1000"
    files: Mapping[str, str] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    stop: signal.Signals = signal.SIGTERM
    seconds: float = _SECONDS


@dataclasses.dataclass(frozen=True)
class ServiceRecipe:
    """A service: how it is asked, what an app is given, and the ways to have it, best first."""

    name: str
    title: str
    protocol: str
    ways: tuple[ServiceSource, ...]
    also: tuple[str, ...] = ()
    user: str = ""
    password: str = ""
    database: str = ""
    url: str = ""

    @property
    def can_be_given(self) -> bool:
        """Whether one that runs elsewhere could be reached: not one that tells its own ports."""
        return not any(way.same_ports for way in self.ways)


@dataclasses.dataclass(frozen=True)
class ServiceRecipes:
    """All services that are known."""

    by_name: Mapping[str, ServiceRecipe]

    def get(self, name: str) -> ServiceRecipe:
        """Return the service called `name`, by any of its names; raise UsageError."""
        for recipe in self.by_name.values():
            if name == recipe.name or name in recipe.also:
                return recipe
        near = nearest(name, [n for r in self.by_name.values() for n in (r.name, *r.also)])
        hint = f"Did you mean {near!r}?" if near else "See what there is: nox -s services"
        raise UsageError(f"no service is called {name!r}", hint)


@functools.cache
def load_recipes(folder: Path | None = None) -> ServiceRecipes:
    """Return the services of the folder, by default the project's own."""
    files = sorted((folder or data_dir() / "services").glob("*.toml"))
    return ServiceRecipes({file.stem: _recipe(file.stem, _read(file)) for file in files})


def _read(file: Path) -> Mapping[str, Any]:
    table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    return table


def _recipe(name: str, table: Mapping[str, Any]) -> ServiceRecipe:
    fields = {key: value for key, value in table.items() if key != "from"}
    fields["also"] = tuple(table.get("also", ()))
    return ServiceRecipe(name=name, ways=tuple(_way(item) for item in table["from"]), **fields)


def _way(table: Mapping[str, Any]) -> ServiceSource:
    fields: dict[str, Any] = dict(table)
    fields["kind"] = ServiceKind(table["kind"])
    fields["stop"] = signal.Signals[f"SIG{table.get('stop', 'TERM')}"]
    fields["commands"] = tuple(tuple(command) for command in table["commands"])
    fields["ports"] = len(table.get("inside", ())) or table.get("ports", 0)
    for name in ("requirements", "version", "sockets", "inside"):
        fields[name] = tuple(table.get(name, ()))
    for name in ("prepare", "ready"):
        steps = table.get(name, ())
        fields[name] = tuple(SetupStep(tuple(item["run"]), item.get("given", "")) for item in steps)
    return ServiceSource(**fields)


Digests = Mapping[tuple[str, str], tuple[str, str]]
"""By name and platform: the digest, and the day on which the registry told it."""

_SCHEMA = "service-images/1"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def images_path() -> Path:
    """Return the file of this version of the project."""
    return data_dir() / "service_images.toml"


def read_images(path: Path | None = None) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what stands there; raise ValueError for what is no digest."""
    path = path or images_path()
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    if data.get("schema") != _SCHEMA:
        raise ValueError(f"{path} is not of the schema {_SCHEMA}")
    found = {}
    for entry in data.get("images", ()):
        if not _DIGEST.fullmatch(entry["digest"]):
            raise ValueError(f"{path}: {entry['name']}: {entry['digest']!r} is no digest")
        found[entry["name"], entry["platform"]] = (entry["digest"], entry["read"])
    return found


def write_images(path: Path, digests: Digests) -> None:
    """Write the file, whole or not at all, with the comment that it begins with."""
    import tomli_w  # noqa: PLC0415 - only to write

    lines = path.read_text(encoding="utf-8").splitlines()
    comment = "".join(f"{line}\n" for line in lines if line.startswith("#"))
    images = [
        {"name": name, "platform": platform, "digest": digest, "read": read}
        for (name, platform), (digest, read) in sorted(digests.items())
    ]
    handle, half = tempfile.mkstemp(dir=path.parent, prefix=".images-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(comment + tomli_w.dumps({"schema": _SCHEMA, "images": images}))
    Path(half).chmod(0o644)
    Path(half).replace(path)


def by_digest(name: str, digest: str, environ: Mapping[str, str]) -> str:
    """Return what an engine calls the image `name` (`redis:7`) of this digest."""
    return f"{reference(name.partition(':')[0], environ)}@{digest}"


Build = Callable[[Sequence[str], dt.date], Path]
"""Installs requirements as of a date from the package index; returns an interpreter that has them.
Raises RuntimeError."""

UNKEPT = "servers are started on POSIX systems only"
"""Why there is none on Windows: what keeps them are signals, and locks that are handed on."""

_ASK_SECONDS = 10.0
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# What stubs import of each other is in this one file.
_STUBS_SHARED = "serving.py"
_STUBS = Path(__file__).resolve().parent / "stubs"


@dataclasses.dataclass(frozen=True)
class AvailableService:
    """`words` replace placeholders in commands; `version` names exactly what would be started.

    `build` is called first, if there is one, and gives the word `python`. With `inside` it is
    started in a container.
    """

    way: ServiceSource
    version: str
    words: dict[str, str]
    build: Callable[[], Path] | None = None
    inside: ServerContainer | None = None


@dataclasses.dataclass(frozen=True)
class MissingService:
    """Why there is none, and the command that would provide it."""

    why: str
    remedy: str


def look(
    way: ServiceSource, build: Build | None = None, engine: ContainerEngine | None = None
) -> AvailableService | MissingService:
    """Return what would be started, quickly. Packages can be had where `build` installs them, and
    images where `engine` holds them.
    """
    if sys.platform == "win32":
        return MissingService(UNKEPT, "Give one that runs already: --service NAME=URL.")
    if way.source == "program":
        return _program(way)
    if way.source == "package":
        return _package(way, build)
    if way.source == "container":
        return _contained(way, engine)
    return _stub(way)


def _program(way: ServiceSource) -> AvailableService | MissingService:
    words = {name: _path(pattern) for name, pattern in way.programs.items()}
    missing = [name for name, path in words.items() if not path]
    if missing:
        return MissingService(
            f"not installed here: {', '.join(missing)}",
            f"apt-get install --no-install-recommends {way.packages}",
        )
    first = next(iter(words.values()))
    return AvailableService(way, _version(first, way.version, Path(first).stat().st_mtime), words)


def _package(way: ServiceSource, build: Build | None) -> AvailableService | MissingService:
    names = " ".join(way.requirements)
    if build is None or way.as_of is None:
        return MissingService(f"nothing here installs {names}", "nox -s services")
    return AvailableService(way, names, {}, functools.partial(build, way.requirements, way.as_of))


def _contained(
    way: ServiceSource, engine: ContainerEngine | None
) -> AvailableService | MissingService:
    if engine is None:
        said = f"no container engine runs {way.image}"
        return MissingService(said, "Start one, and leave out --engine local")
    platform = engine.info.platform
    digest, _ = read_images().get((way.image, platform), ("", ""))
    if not digest:
        said = f"the digest of {way.image} for {platform} is not known"
        return MissingService(said, "nox -s services -- refresh")
    wanted = by_digest(way.image, digest, os.environ)
    try:
        image = engine.image(wanted)
    except ContainerError as error:
        return MissingService(f"the engine fails: {error}", "Start it again")
    if image is None:
        return MissingService(f"{way.image} is not in {engine.info.name}", f"docker pull {wanted}")
    inside = ServerContainer(
        engine, image.id, image.platform, way.inside, way.user, way.environment
    )
    return AvailableService(way, f"{way.image} ({digest})", {}, inside=inside)


def _stub(way: ServiceSource) -> AvailableService:
    total = hashlib.sha256()
    for name in sorted({_STUBS_SHARED, *_stubs_of(way)}):
        with contextlib.suppress(FileNotFoundError):
            total.update((_STUBS / name).read_bytes())
    words = {"python": sys.executable, "stubs": str(_STUBS)}
    return AvailableService(way, f"stub {total.hexdigest()[:12]}", words)


def _stubs_of(way: ServiceSource) -> set[str]:
    words = [word for command in way.commands for word in command]
    return {word.removeprefix("{stubs}/") for word in words if word.startswith("{stubs}/")}


def _path(pattern: str) -> str:
    if "/" in pattern:
        found = [path for path in glob.glob(pattern) if os.access(path, os.X_OK)]  # noqa: PTH207
        return max(found, key=_by_numbers, default="")
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])
    return shutil.which(pattern, path=path) or ""


def _by_numbers(path: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 0, part) for part in path.split("/")]


@functools.cache
def _version(program: str, arguments: tuple[str, ...], _changed: float) -> str:
    """Return the first line that the program says of itself, its path where it is not asked."""
    if not arguments:
        return program
    try:
        asked = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = asked.stdout.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else "unknown"
