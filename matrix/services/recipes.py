"""Recipes of back ends (`data/services/`), the digests of their images, and what is available here.

A recipe lists the sources of a service, best first; `resolve_source` finds out whether one can be
used on this machine. Digests in `data/service_images.toml` come from a registry only
(`services refresh`).
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matrix.docker.interface import ContainerEngine, ContainerError
from matrix.docker.platforms import registry_reference
from matrix.errors import UsageError, did_you_mean
from matrix.model.service import ServiceKind
from matrix.services.container import ServerImage
from matrix.system.data_files import read_toml, write_toml
from matrix.system.paths import data_dir

_START_SECONDS = 30.0
_VERSION_SECONDS = 10.0
_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_STUBS = Path(__file__).resolve().parent / "stubs"
# The module that every stub imports.
_STUB_BASE = "server_base.py"
_SCHEMA = "service-images/1"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

POSIX_ONLY = "servers are started on POSIX systems only"
"""The reason why no server is started on Windows: supervision needs signals and inherited locks."""

Build = Callable[[Sequence[str], dt.date], Path]
"""Installs requirements from the package index as of a date and returns the interpreter that has
them. Raises RuntimeError."""

Digests = Mapping[tuple[str, str], tuple[str, str]]
"""The digest, and the day on which the registry reported it, by image name and platform."""


@dataclasses.dataclass(frozen=True)
class SetupStep:
    """A command that runs to its end, with `stdin` as its standard input."""

    command: tuple[str, ...]
    stdin: str = ""


@dataclasses.dataclass(frozen=True)
class ServiceSource:
    """One source of a service; `data/services/README.md` explains the fields."""

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
    seconds: float = _START_SECONDS


@dataclasses.dataclass(frozen=True)
class ServiceRecipe:
    """A service: its protocol, the credentials that an app gets, and its sources, best first."""

    name: str
    title: str
    protocol: str
    sources: tuple[ServiceSource, ...]
    also: tuple[str, ...] = ()
    user: str = ""
    password: str = ""
    database: str = ""
    url: str = ""

    @property
    def can_be_external(self) -> bool:
        """True unless the service announces its own ports, which a cell could not reach."""
        return not any(source.same_ports for source in self.sources)


@dataclasses.dataclass(frozen=True)
class ServiceRecipes:
    """All recipes by the name of their service."""

    by_name: Mapping[str, ServiceRecipe]

    def get(self, name: str) -> ServiceRecipe:
        """Return the recipe with this name or alias; raise UsageError."""
        for recipe in self.by_name.values():
            if name == recipe.name or name in recipe.also:
                return recipe
        names = [name for item in self.by_name.values() for name in (item.name, *item.also)]
        message = f"unknown service {name!r}{did_you_mean(name, names)}"
        raise UsageError(message, "List all services: nox -s services")


@functools.cache
def load_recipes(folder: Path | None = None) -> ServiceRecipes:
    """Return the recipes in `folder`, by default the project's own."""
    files = sorted((folder or data_dir() / "services").glob("*.toml"))
    return ServiceRecipes({file.stem: _read_recipe(file) for file in files})


def _read_recipe(file: Path) -> ServiceRecipe:
    table = read_toml(file)
    sources = tuple(_parse_source(item) for item in table.pop("from"))
    table["also"] = tuple(table.get("also", ()))
    return ServiceRecipe(name=file.stem, sources=sources, **table)


def _parse_source(table: Mapping[str, Any]) -> ServiceSource:
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


def images_path() -> Path:
    """Return the project's file of image digests."""
    return data_dir() / "service_images.toml"


def read_images(path: Path | None = None) -> dict[tuple[str, str], tuple[str, str]]:
    """Return the digests in the file; raise ValueError for another schema or an invalid digest."""
    path = path or images_path()
    data = read_toml(path)
    if data.get("schema") != _SCHEMA:
        raise ValueError(f"{path}: unknown schema {data.get('schema')!r} (expected {_SCHEMA})")
    digests = {}
    for entry in data.get("images", ()):
        if not _DIGEST.fullmatch(entry["digest"]):
            raise ValueError(f"{path}: {entry['name']}: invalid digest {entry['digest']!r}")
        digests[entry["name"], entry["platform"]] = (entry["digest"], entry["read"])
    return digests


def write_images(path: Path, digests: Digests) -> None:
    """Replace the file atomically, keeping its leading comment."""
    images = [
        {"name": name, "platform": platform, "digest": digest, "read": read}
        for (name, platform), (digest, read) in sorted(digests.items())
    ]
    write_toml(path, {"schema": _SCHEMA, "images": images})


def image_reference(name: str, digest: str, environ: Mapping[str, str]) -> str:
    """Return the engine's reference for the image `name` (such as `redis:7`) with this digest."""
    return f"{registry_reference(name.partition(':')[0], environ)}@{digest}"


@dataclasses.dataclass(frozen=True)
class AvailableService:
    """A source that can be used here; `version` identifies exactly what would be started.

    `placeholders` are substituted in commands. `build`, where present, is called first and returns
    the value of `python`. With `image` the server is started in a container.
    """

    source: ServiceSource
    version: str
    placeholders: dict[str, str]
    build: Callable[[], Path] | None = None
    image: ServerImage | None = None


class NoServiceError(Exception):
    """A service is not available; `remedy` would provide it."""

    def __init__(self, detail: str, remedy: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.remedy = remedy


def resolve_source(
    source: ServiceSource, build: Build | None = None, engine: ContainerEngine | None = None
) -> AvailableService:
    """Return what the source would start here, without starting it.

    Packages are available where `build` installs them, images where `engine` has them. Raises
    NoServiceError.
    """
    if sys.platform == "win32":
        raise NoServiceError(POSIX_ONLY, "Use one that runs already: --service NAME=URL.")
    if source.source == "program":
        return _resolve_program(source)
    if source.source == "package":
        return _resolve_package(source, build)
    if source.source == "container":
        return _resolve_image(source, engine)
    return _resolve_stub(source)


def _resolve_program(source: ServiceSource) -> AvailableService:
    paths = {name: _find_program(pattern) for name, pattern in source.programs.items()}
    missing = [name for name, path in paths.items() if not path]
    if missing:
        raise NoServiceError(
            f"not installed here: {', '.join(missing)}",
            f"apt-get install --no-install-recommends {source.packages}",
        )
    first = next(iter(paths.values()))
    version = _read_version(first, source.version, Path(first).stat().st_mtime)
    return AvailableService(source, version, paths)


def _resolve_package(source: ServiceSource, build: Build | None) -> AvailableService:
    names = " ".join(source.requirements)
    if build is None or source.as_of is None:
        raise NoServiceError(f"cannot install {names} here", "nox -s services")
    install = functools.partial(build, source.requirements, source.as_of)
    return AvailableService(source, names, {}, install)


def _resolve_image(source: ServiceSource, engine: ContainerEngine | None) -> AvailableService:
    if engine is None:
        raise NoServiceError(
            f"no container engine runs {source.image}", "Start one, and leave out --engine local"
        )
    platform = engine.info.platform
    digest, _ = read_images().get((source.image, platform), ("", ""))
    if not digest:
        reason = f"unknown digest of {source.image} for {platform}"
        raise NoServiceError(reason, "nox -s services -- refresh")
    name = image_reference(source.image, digest, os.environ)
    try:
        info = engine.image(name)
    except ContainerError as error:
        raise NoServiceError(f"the engine fails: {error}", "Start it again") from error
    if info is None:
        raise NoServiceError(f"{source.image} is not in {engine.info.name}", f"docker pull {name}")
    image = ServerImage(
        engine, info.id, info.platform, source.inside, source.user, source.environment
    )
    return AvailableService(source, f"{source.image} ({digest})", {}, image=image)


def _resolve_stub(source: ServiceSource) -> AvailableService:
    arguments = [argument for command in source.commands for argument in command]
    prefix = "{stubs}/"
    programs = {item.removeprefix(prefix) for item in arguments if item.startswith(prefix)}
    total = hashlib.sha256()
    for name in sorted({_STUB_BASE, *programs}):
        with contextlib.suppress(FileNotFoundError):
            total.update((_STUBS / name).read_bytes())
    placeholders = {"python": sys.executable, "stubs": str(_STUBS)}
    return AvailableService(source, f"stub {total.hexdigest()[:12]}", placeholders)


def _find_program(pattern: str) -> str:
    """Return the path of a program on PATH or in sbin, or the last match of a glob, or ""."""
    if "/" in pattern:
        paths = [path for path in glob.glob(pattern) if os.access(path, os.X_OK)]  # noqa: PTH207
        return max(paths, key=_numeric_key, default="")
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN])
    return shutil.which(pattern, path=path) or ""


def _numeric_key(path: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 0, part) for part in path.split("/")]


@functools.cache
def _read_version(program: str, arguments: tuple[str, ...], _modified: float) -> str:
    """Return the first line that the program prints, or its path where no arguments are known."""
    if not arguments:
        return program
    try:
        result = subprocess.run(
            [program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_VERSION_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = result.stdout.decode("utf-8", "replace").strip().splitlines()
    return lines[0] if lines else "unknown"
