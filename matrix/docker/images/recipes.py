"""Recipes of images: targets, Debian's suites and their packages, from `data/images.toml`."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from typing import Any

from matrix.system.data_files import read_data


@dataclasses.dataclass(frozen=True)
class ImageTarget:
    """An OS and CPU: our name, the engine's `platform` (`linux/386`) and Debian's (`i386`).

    `bits` is the size of a pointer; `launch` comes before every command line in the image, and
    `emulated` are the environment variables of its processes where the CPU is emulated.
    """

    name: str
    platform: str
    debian: str
    bits: int
    launch: tuple[str, ...]
    emulated: tuple[tuple[str, str], ...] = ()

    @property
    def machine(self) -> str:
        """The expected value of `platform.machine()`."""
        return self.name.partition("_")[2]


@dataclasses.dataclass(frozen=True)
class ImagePaths:
    """Paths in every image: folders to mount things at, and PATH."""

    mount_points: tuple[str, ...]
    path: str


@dataclasses.dataclass(frozen=True)
class SuitePython:
    """A CPython of a suite; `executable` and `site` are paths in the image."""

    python: str
    packages: tuple[str, ...]
    executable: str
    site: str


@dataclasses.dataclass(frozen=True)
class Suite:
    """A suite of Debian: `base` are the packages of all its images, `libc` is glibc's version."""

    name: str
    libc: str
    base: tuple[str, ...]
    packages: tuple[str, ...]
    leave_out: tuple[str, ...]
    apt_options: tuple[str, ...]
    pythons: tuple[SuitePython, ...]


@dataclasses.dataclass(frozen=True)
class HostRecipe:
    """Suites that interpreters of this machine are copied onto, and their packages by suite."""

    suites: tuple[str, ...]
    packages: dict[str, tuple[str, ...]]
    leave_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ImageRecipes:
    """The content of the file."""

    targets: tuple[ImageTarget, ...]
    inside: ImagePaths
    suites: tuple[Suite, ...]
    host: HostRecipe

    def target(self, name: str) -> ImageTarget:
        """Return a target by our name; raise KeyError for an unknown one."""
        return {target.name: target for target in self.targets}[name]

    def suite(self, name: str) -> Suite:
        """Return a suite by name; raise KeyError for an unknown one."""
        return {suite.name: suite for suite in self.suites}[name]


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
        targets=tuple(_parse_target(name, entry) for name, entry in data["targets"].items()),
        inside=ImagePaths(tuple(data["inside"]["mount_points"]), data["inside"]["path"]),
        suites=tuple(_parse_suite(name, entry, debian) for name, entry in debian["suites"].items()),
        host=HostRecipe(
            tuple(host["suites"]),
            {name: tuple(packages) for name, packages in host["packages"].items()},
            tuple(host["leave_out"]),
        ),
    )


def _parse_target(name: str, entry: dict[str, Any]) -> ImageTarget:
    emulated = tuple(sorted(entry.get("emulated", {}).items()))
    return ImageTarget(name, **{**entry, "launch": tuple(entry["launch"]), "emulated": emulated})


def _parse_suite(name: str, entry: dict[str, Any], debian: dict[str, Any]) -> Suite:
    return Suite(
        name=name,
        libc=entry["libc"],
        base=tuple(debian["packages"]),
        packages=tuple(entry["packages"]),
        leave_out=tuple(debian["leave_out"]),
        apt_options=tuple(entry.get("apt_options", ())),
        pythons=tuple(
            SuitePython(version, tuple(python["packages"]), python["executable"], python["site"])
            for version, python in entry["pythons"].items()
        ),
    )
