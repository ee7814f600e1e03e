"""Sample apps: the same shop in each web framework that has a folder `apps/<framework>_shop/`.

Literals of its `shop.py` are declarations, parsed as those of a library's module are. The README of
`apps/` explains them.
"""

from __future__ import annotations

import ast
import dataclasses
import datetime as dt
import functools
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from packaging.requirements import InvalidRequirement, Requirement

from matrix.errors import UsageError
from matrix.probes.declarations import Integration
from matrix.probes.integrations import load_integrations
from matrix.system.paths import apps_dir

SHOP = "_shop"
"""How the name of an app's folder ends."""
SERVERS = ("wsgi", "asgi", "own")
_NAMES = ("SERVER", "TRIED", "ALSO", "ROW")


@dataclasses.dataclass(frozen=True)
class TriedRelease:
    """A release of a framework with which its app was seen to run, in the company of a day."""

    python: str
    version: str
    as_of: dt.date


@dataclasses.dataclass(frozen=True)
class Shop:
    """The sample app of a framework.

    `server` is one of `SERVERS`. `also` are requirements in pip's format. `row` is the integration
    whose declarations tell on which CPythons a release of the framework runs, and in what company,
    None where there is none.
    """

    framework: str
    server: str
    tried: tuple[TriedRelease, ...]
    also: tuple[str, ...] = ()
    row: Integration | None = None


def shop_folder(framework: str) -> Path:
    """Return the folder of the app of a framework, which may not exist."""
    return apps_dir() / f"{framework}{SHOP}"


@functools.cache
def load_shops(apps: Path | None = None) -> Mapping[str, Shop]:
    """Return the sample apps by framework; raise `UsageError` where a declaration is invalid."""
    folders = sorted((apps or apps_dir()).glob(f"*{SHOP}"))
    shops = [_parse_shop(folder) for folder in folders if folder.is_dir()]
    return MappingProxyType({shop.framework: shop for shop in shops})


def _parse_shop(folder: Path) -> Shop:
    path = folder / "shop.py"
    try:
        declared = _read_literals(path.read_text(encoding="utf-8"))
        return _declared_shop(folder.name.removesuffix(SHOP), declared)
    except (OSError, SyntaxError, ValueError, TypeError, InvalidRequirement) as error:
        raise UsageError(
            f"invalid declarations of a sample app, {folder.name}/{path.name}: {error}",
            "The declarations are documented in apps/README.md.",
        ) from error


def _declared_shop(framework: str, declared: Mapping[str, object]) -> Shop:
    server, tried, also, row = (declared.get(name) for name in _NAMES)
    if server not in SERVERS:
        raise ValueError(f"SERVER is {server!r} (expected one of {', '.join(SERVERS)})")
    if not (tried and isinstance(tried, list)):
        raise ValueError("TRIED is no list of releases")
    rows = load_integrations()
    if row is not None and row not in rows:
        raise ValueError(f"ROW is {row!r}, which is no integration row")
    return Shop(
        framework,
        server=str(server),
        tried=tuple(_tried_release(*item) for item in tried),
        also=tuple(str(Requirement(text)) for text in _texts(also)),
        row=rows.get(str(row or framework)),
    )


def _tried_release(python: str, version: str, day: str) -> TriedRelease:
    return TriedRelease(python, version, dt.date.fromisoformat(day))


def _texts(value: object) -> list[str]:
    if value is None:
        return []
    if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise ValueError("ALSO is no list of requirements")
    return value


def _read_literals(text: str) -> dict[str, object]:
    """Return the values of the declared names; raise ValueError where one is no literal."""
    return {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in _NAMES
    }
