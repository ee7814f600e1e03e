"""The back ends that are known, and the ways to have them: a file each in `data/services/`."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.errors import UsageError, nearest
from matrix.model.service import ServiceKind
from matrix.places import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Recipe", "Recipes", "Step", "WayToHave", "load_recipes"]

_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Step:
    """Something that is run to its end; `given` is its standard input."""

    run: tuple[str, ...]
    given: str = ""


@dataclasses.dataclass(frozen=True)
class WayToHave:
    """One way to have a service; the fields are explained in `data/services/README.md`."""

    kind: ServiceKind
    source: str
    commands: tuple[tuple[str, ...], ...]
    packages: str = ""
    requirements: tuple[str, ...] = ()
    as_of: dt.date | None = None
    programs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    version: tuple[str, ...] = ()
    prepare: tuple[Step, ...] = ()
    ready: tuple[Step, ...] = ()
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
class Recipe:
    """A service: how it is asked, what an app is given, and the ways to have it, best first."""

    name: str
    title: str
    protocol: str
    ways: tuple[WayToHave, ...]
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
class Recipes:
    """All services that are known."""

    by_name: Mapping[str, Recipe]

    def get(self, name: str) -> Recipe:
        """Return the service called `name`, by any of its names; raise UsageError."""
        for recipe in self.by_name.values():
            if name == recipe.name or name in recipe.also:
                return recipe
        near = nearest(name, [n for r in self.by_name.values() for n in (r.name, *r.also)])
        hint = f"Did you mean {near!r}?" if near else "See what there is: nox -s services"
        raise UsageError(f"no service is called {name!r}", hint)


@functools.cache
def load_recipes(folder: Path | None = None) -> Recipes:
    """Return the services of the folder, by default the project's own."""
    files = sorted((folder or data_dir() / "services").glob("*.toml"))
    return Recipes({file.stem: _recipe(file.stem, _read(file)) for file in files})


def _read(file: Path) -> Mapping[str, Any]:
    table: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    return table


def _recipe(name: str, table: Mapping[str, Any]) -> Recipe:
    fields = {key: value for key, value in table.items() if key != "from"}
    fields["also"] = tuple(table.get("also", ()))
    return Recipe(name=name, ways=tuple(_way(item) for item in table["from"]), **fields)


def _way(table: Mapping[str, Any]) -> WayToHave:
    fields: dict[str, Any] = dict(table)
    fields["kind"] = ServiceKind(table["kind"])
    fields["stop"] = signal.Signals[f"SIG{table.get('stop', 'TERM')}"]
    fields["commands"] = tuple(tuple(command) for command in table["commands"])
    fields["ports"] = len(table.get("inside", ())) or table.get("ports", 0)
    for name in ("requirements", "version", "sockets", "inside"):
        fields[name] = tuple(table.get(name, ()))
    for name in ("prepare", "ready"):
        steps = table.get(name, ())
        fields[name] = tuple(Step(tuple(item["run"]), item.get("given", "")) for item in steps)
    return WayToHave(**fields)
