"""What a cell needs beside its two pins: companions of the time, from `data/recipes.toml`.

Debian packages that a build from source takes, as the libraries' modules declare them.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from matrix.model.cell import Cell
from matrix.model.environment import Requirements
from matrix.model.plan import PlannedCell
from matrix.probes.integrations import distribution_name, find_integration
from matrix.system.data_files import read_toml
from matrix.system.paths import data_dir

__all__ = [
    "CompanionRule",
    "CompanionRules",
    "Sentinel",
    "apt_command",
    "load_recipes",
    "missing_packages",
    "requirements_for",
    "sentinel",
]


@dataclasses.dataclass(frozen=True)
class Sentinel:
    """A distribution that nothing else requires, and the name that it is imported by."""

    distribution: str
    import_name: str


@dataclasses.dataclass(frozen=True)
class CompanionRule:
    """Further requirements for cells that hold `distribution` in `versions` on `python`.

    `distribution` is "" for every cell of a sample app. `era_only` ones are left out where the cell
    is as of a date that was asked for: whether an install of that day works is then the question.
    `why` is for the reader: what is added is what a user would not get by installing the two pins.
    """

    distribution: str
    versions: SpecifierSet
    python: SpecifierSet
    add: tuple[str, ...]
    era_only: bool
    why: str

    def applies(self, cell: Cell, pins: dict[str, str], *, library: bool = False) -> bool:
        """Return whether `cell`, with these pins (version by name), needs it.

        What is for every cell is what the sample apps need, which a `library`'s cell does not run.
        """
        if self.era_only and cell.as_of is not None:
            return False
        if not self.python.contains(cell.python, prereleases=True):
            return False
        if not self.distribution:
            return not library
        version = pins.get(self.distribution)
        return version is not None and self.versions.contains(version, prereleases=True)


@dataclasses.dataclass(frozen=True)
class CompanionRules:
    """All of the file."""

    sentinel: Sentinel
    only_binary: tuple[str, ...]
    recipes: tuple[CompanionRule, ...]


def load_recipes(path: Path) -> CompanionRules:
    """Read a recipes file; raise ValueError or KeyError where it is none."""
    data = read_toml(path)
    return CompanionRules(
        sentinel=Sentinel(**data["sentinel"]),
        only_binary=tuple(data["only_binary"]),
        recipes=tuple(_recipe(item) for item in data["recipe"]),
    )


def requirements_for(
    planned: PlannedCell, extra: Sequence[str] = (), recipes: CompanionRules | None = None
) -> Requirements:
    """Return what the environment of a planned cell holds; `extra` is what its probes need."""
    recipes = recipes or _shipped()
    cell = planned.cell
    pins = {"ddtrace": cell.ddtrace}
    if distribution := distribution_name(cell.framework):
        pins[str(canonicalize_name(distribution))] = cell.framework_version
    library = find_integration(cell.framework)
    also = {
        requirement
        for recipe in recipes.recipes
        if recipe.applies(cell, pins, library=library is not None)
        for requirement in recipe.add
    }
    if library is None:
        also.add(recipes.sentinel.distribution)
    else:
        era = cell.as_of is None
        also.update(library.companions(cell.framework_version, cell.python, era=era))
    return Requirements(
        pins=tuple(f"{name}=={version}" for name, version in sorted(pins.items())),
        also=tuple(sorted({*also, *extra})),
        as_of=planned.as_of,
        only_binary=recipes.only_binary,
    )


def sentinel() -> Sentinel:
    """Return the distribution whose report shows that dependencies are told of."""
    return _shipped().sentinel


@functools.lru_cache(maxsize=1)
def _shipped() -> CompanionRules:
    return load_recipes(data_dir() / "recipes.toml")


def _recipe(item: dict[str, Any]) -> CompanionRule:
    unknown = set(item) - {"for", "versions", "python", "add", "era_only", "why"}
    if unknown:
        raise ValueError(f"unknown keys in a recipe: {', '.join(sorted(unknown))}")
    return CompanionRule(
        distribution=str(canonicalize_name(item.get("for", ""))),
        versions=SpecifierSet(item.get("versions", "")),
        python=SpecifierSet(item.get("python", "")),
        add=tuple(item["add"]),
        era_only=item.get("era_only", False),
        why=item["why"],
    )


STATUS = Path("/var/lib/dpkg/status")
_INSTALLED = re.compile(r"^Package: (\S+)\nStatus: \S+ \S+ installed$", re.MULTILINE)
_LARGEST = 64 * 1024**2  # a status file of a whole desktop has 5 MB


def missing_packages(packages: Iterable[str], status: Path = STATUS) -> tuple[str, ...] | None:
    """Return which of them are not installed on this machine; None where it is no Debian."""
    try:
        with status.open(encoding="utf-8", errors="replace") as stream:
            installed = set(_INSTALLED.findall(stream.read(_LARGEST)))
    except OSError:
        return None
    return tuple(name for name in packages if name not in installed)


def apt_command(packages: Iterable[str]) -> str:
    """Return the command that installs them."""
    return f"apt-get install --no-install-recommends {' '.join(packages)}"
