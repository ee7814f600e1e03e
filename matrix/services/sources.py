"""Whether a way to have a service can be gone here, and with what."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import functools
import glob
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from matrix.containers.seam import ContainerError, Engine
from matrix.services.contained import Inside
from matrix.services.images import by_digest, read_images
from matrix.services.recipes import WayToHave

__all__ = ["UNKEPT", "Build", "Found", "Missing", "look"]

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
class Found:
    """`words` replace placeholders in commands; `version` names exactly what would be started.

    `build` is called first, if there is one, and gives the word `python`. With `inside` it is
    started in a container.
    """

    way: WayToHave
    version: str
    words: dict[str, str]
    build: Callable[[], Path] | None = None
    inside: Inside | None = None


@dataclasses.dataclass(frozen=True)
class Missing:
    """Why there is none, and the command that would provide it."""

    why: str
    remedy: str


def look(
    way: WayToHave, build: Build | None = None, engine: Engine | None = None
) -> Found | Missing:
    """Return what would be started, quickly. Packages can be had where `build` installs them, and
    images where `engine` holds them.
    """
    if sys.platform == "win32":
        return Missing(UNKEPT, "Give one that runs already: --service NAME=URL.")
    if way.source == "program":
        return _program(way)
    if way.source == "package":
        return _package(way, build)
    if way.source == "container":
        return _contained(way, engine)
    return _stub(way)


def _program(way: WayToHave) -> Found | Missing:
    words = {name: _path(pattern) for name, pattern in way.programs.items()}
    missing = [name for name, path in words.items() if not path]
    if missing:
        return Missing(
            f"not installed here: {', '.join(missing)}",
            f"apt-get install --no-install-recommends {way.packages}",
        )
    first = next(iter(words.values()))
    return Found(way, _version(first, way.version, Path(first).stat().st_mtime), words)


def _package(way: WayToHave, build: Build | None) -> Found | Missing:
    names = " ".join(way.requirements)
    if build is None or way.as_of is None:
        return Missing(f"nothing here installs {names}", "nox -s services")
    return Found(way, names, {}, functools.partial(build, way.requirements, way.as_of))


def _contained(way: WayToHave, engine: Engine | None) -> Found | Missing:
    if engine is None:
        said = f"no container engine runs {way.image}"
        return Missing(said, "Start one, and leave out --engine local")
    platform = engine.info.platform
    digest, _ = read_images().get((way.image, platform), ("", ""))
    if not digest:
        said = f"the digest of {way.image} for {platform} is not known"
        return Missing(said, "nox -s services -- refresh")
    wanted = by_digest(way.image, digest, os.environ)
    try:
        image = engine.image(wanted)
    except ContainerError as error:
        return Missing(f"the engine fails: {error}", "Start it again")
    if image is None:
        return Missing(f"{way.image} is not in {engine.info.name}", f"docker pull {wanted}")
    inside = Inside(engine, image.id, image.platform, way.inside, way.user, way.environment)
    return Found(way, f"{way.image} ({digest})", {}, inside=inside)


def _stub(way: WayToHave) -> Found:
    total = hashlib.sha256()
    for name in sorted({_STUBS_SHARED, *_stubs_of(way)}):
        with contextlib.suppress(FileNotFoundError):
            total.update((_STUBS / name).read_bytes())
    words = {"python": sys.executable, "stubs": str(_STUBS)}
    return Found(way, f"stub {total.hexdigest()[:12]}", words)


def _stubs_of(way: WayToHave) -> set[str]:
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
