"""Requirements of a cell's environment: its pins, and companions from `data/recipes.toml`.

Also the Debian packages that builds from source require.
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
from matrix.probes.integrations import distribution_name, find_integration, is_library_probe
from matrix.probes.shops import Shop, load_shops
from matrix.system.files import read_toml
from matrix.system.paths import data_dir


@dataclasses.dataclass(frozen=True)
class Sentinel:
    """A distribution that nothing else requires, and its import name."""

    distribution: str
    import_name: str


@dataclasses.dataclass(frozen=True)
class CompanionRule:
    """Additional requirements for cells with `distribution` in `versions` on `python`.

    `distribution` is "" for every cell of a sample app, or of one with the kind of `server`.
    `era_only` rules do not apply where the user chose a date for the cell, which then tests an
    install of that day. `why` documents the rule, because users would not get these requirements by
    installing the pins.
    """

    distribution: str
    server: str
    versions: SpecifierSet
    python: SpecifierSet
    add: tuple[str, ...]
    era_only: bool
    why: str

    def applies(self, cell: Cell, pins: dict[str, str], shop: Shop | None) -> bool:
        """Return whether the rule applies to a cell with these pins (version by name).

        Rules for every cell are for the sample apps; `shop` is None for a cell without one.
        """
        if self.era_only and cell.as_of is not None:
            return False
        if not self.python.contains(cell.python, prereleases=True):
            return False
        if not self.distribution:
            return shop is not None and self.server in ("", shop.server)
        version = pins.get(self.distribution)
        return version is not None and self.versions.contains(version, prereleases=True)


@dataclasses.dataclass(frozen=True)
class CompanionRules:
    """The content of `recipes.toml`."""

    sentinel: Sentinel
    only_binary: tuple[str, ...]
    rules: tuple[CompanionRule, ...]


def load_recipes(path: Path) -> CompanionRules:
    """Read a recipes file; raise ValueError or KeyError where it is invalid."""
    data = read_toml(path)
    return CompanionRules(
        sentinel=Sentinel(**data["sentinel"]),
        only_binary=tuple(data["only_binary"]),
        rules=tuple(_parse_rule(item) for item in data["recipe"]),
    )


def requirements_for(
    planned: PlannedCell, extra: Sequence[str] = (), companions: CompanionRules | None = None
) -> Requirements:
    """Return the requirements of a planned cell's environment; `extra` are those of its probes."""
    companions = companions or _default_rules()
    cell = planned.cell
    pins = {"ddtrace": cell.ddtrace}
    if distribution := distribution_name(cell.framework, cell.framework_version):
        pins[str(canonicalize_name(distribution))] = cell.framework_version
    shop = _shop_of(planned)
    library = find_integration(cell.framework) or (shop.row if shop else None)
    also = {
        requirement
        for rule in companions.rules
        if rule.applies(cell, pins, shop)
        for requirement in rule.add
    }
    if shop is not None:
        also |= {companions.sentinel.distribution, *shop.also}
    if library is not None:
        era = cell.as_of is None
        also.update(library.companions(cell.framework_version, cell.python, era=era))
    return Requirements(
        pins=tuple(f"{name}=={version}" for name, version in sorted(pins.items())),
        also=tuple(sorted({*also, *extra})),
        as_of=planned.as_of,
        only_binary=companions.only_binary,
    )


def _shop_of(planned: PlannedCell) -> Shop | None:
    """Return the sample app that runs in the cell, none where only a library's row is tried."""
    framework = planned.cell.framework
    if find_integration(framework) and all(map(is_library_probe, planned.probes)):
        return None
    return load_shops().get(framework)


def sentinel() -> Sentinel:
    """Return the distribution whose presence in telemetry shows that dependencies are reported."""
    return _default_rules().sentinel


@functools.lru_cache(maxsize=1)
def _default_rules() -> CompanionRules:
    return load_recipes(data_dir() / "recipes.toml")


def _parse_rule(item: dict[str, Any]) -> CompanionRule:
    unknown = set(item) - {"for", "server", "versions", "python", "add", "era_only", "why"}
    if unknown:
        raise ValueError(f"unknown keys in a recipe: {', '.join(sorted(unknown))}")
    return CompanionRule(
        distribution=str(canonicalize_name(item.get("for", ""))),
        server=item.get("server", ""),
        versions=SpecifierSet(item.get("versions", "")),
        python=SpecifierSet(item.get("python", "")),
        add=tuple(item["add"]),
        era_only=item.get("era_only", False),
        why=item["why"],
    )


_STATUS = Path("/var/lib/dpkg/status")
_INSTALLED = re.compile(r"^Package: (\S+)\nStatus: \S+ \S+ installed$", re.MULTILINE)
_MAX_STATUS_BYTES = 64 * 1024**2  # that of a desktop has 5 MB


def missing_packages(packages: Iterable[str], status: Path = _STATUS) -> tuple[str, ...] | None:
    """Return the packages that are not installed on this machine; None where it is not Debian."""
    try:
        with status.open(encoding="utf-8", errors="replace") as stream:
            installed = set(_INSTALLED.findall(stream.read(_MAX_STATUS_BYTES)))
    except OSError:
        return None
    return tuple(name for name in packages if name not in installed)


def apt_command(packages: Iterable[str]) -> str:
    """Return the command that installs the packages."""
    return f"apt-get install --no-install-recommends {' '.join(packages)}"
