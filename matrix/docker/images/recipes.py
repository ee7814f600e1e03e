"""What images are made of, read from `data/images.toml`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from typing import Any

from matrix.system.data_files import read_data

__all__ = [
    "HostRecipe",
    "ImagePaths",
    "ImageRecipes",
    "ImageTarget",
    "Suite",
    "SuitePython",
    "recipe_key",
    "read_recipes",
]


@dataclasses.dataclass(frozen=True)
class ImageTarget:
    """One OS and CPU: our word, the engine's (`linux/386`) and Debian's (`i386`).

    `bits` is the size of a pointer; `launch` comes before every command line inside, and `emulated`
    is what the environment of every process there must have where that CPU is emulated.
    """

    name: str
    platform: str
    debian: str
    bits: int
    launch: tuple[str, ...]
    emulated: tuple[tuple[str, str], ...] = ()

    @property
    def machine(self) -> str:
        """Return what `platform.machine()` should say there."""
        return self.name.partition("_")[2]


@dataclasses.dataclass(frozen=True)
class ImagePaths:
    """What every image has: folders to mount things at, and PATH."""

    mount_points: tuple[str, ...]
    path: str


@dataclasses.dataclass(frozen=True)
class SuitePython:
    """A CPython of a suite; `executable` and `site` are paths inside."""

    python: str
    packages: tuple[str, ...]
    executable: str
    site: str


@dataclasses.dataclass(frozen=True)
class Suite:
    """A suite of Debian; `base` is what every image of it has, `libc` glibc's version there."""

    name: str
    libc: str
    base: tuple[str, ...]
    packages: tuple[str, ...]
    leave_out: tuple[str, ...]
    apt_options: tuple[str, ...]
    pythons: tuple[SuitePython, ...]


@dataclasses.dataclass(frozen=True)
class HostRecipe:
    """How interpreters of this machine are copied: onto which suites, with which packages."""

    suites: tuple[str, ...]
    packages: dict[str, tuple[str, ...]]
    leave_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ImageRecipes:
    """All of the file."""

    targets: tuple[ImageTarget, ...]
    inside: ImagePaths
    suites: tuple[Suite, ...]
    host: HostRecipe

    def target(self, name: str) -> ImageTarget:
        """Return a target by our name; raise KeyError where it is none of these."""
        for target in self.targets:
            if target.name == name:
                return target
        raise KeyError(name)

    def suite(self, name: str) -> Suite:
        """Return a suite by name; raise KeyError where it is none of these."""
        for suite in self.suites:
            if suite.name == name:
                return suite
        raise KeyError(name)


def recipe_key(*parts: object) -> str:
    """Return the key of what is made from `parts`, which are data: equal parts, equal key."""
    text = json.dumps(parts, sort_keys=True, default=dataclasses.asdict)
    return hashlib.sha256(text.encode()).hexdigest()


@functools.cache
def read_recipes() -> ImageRecipes:
    """Return the recipes of this version of the project."""
    data = read_data("images")
    debian, host = data["debian"], data["host"]
    return ImageRecipes(
        targets=tuple(_target(name, entry) for name, entry in data["targets"].items()),
        inside=ImagePaths(tuple(data["inside"]["mount_points"]), data["inside"]["path"]),
        suites=tuple(_suite(name, entry, debian) for name, entry in debian["suites"].items()),
        host=HostRecipe(
            tuple(host["suites"]),
            {name: tuple(packages) for name, packages in host["packages"].items()},
            tuple(host["leave_out"]),
        ),
    )


def _target(name: str, entry: dict[str, Any]) -> ImageTarget:
    return ImageTarget(
        name,
        entry["platform"],
        entry["debian"],
        entry["bits"],
        tuple(entry["launch"]),
        tuple(sorted(entry.get("emulated", {}).items())),
    )


def _suite(name: str, entry: dict[str, Any], debian: dict[str, Any]) -> Suite:
    return Suite(
        name=name,
        libc=entry["libc"],
        base=tuple(debian["packages"]),
        packages=tuple(entry["packages"]),
        leave_out=tuple(debian["leave_out"]),
        apt_options=tuple(entry.get("apt_options", ())),
        pythons=tuple(
            SuitePython(python, tuple(each["packages"]), each["executable"], each["site"])
            for python, each in entry["pythons"].items()
        ),
    )
