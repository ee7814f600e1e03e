"""Places: the deployment types that a cell can run in, or what stands in for them.

Each is a file of `data/places/`. Its mechanism, a module of `matrix.cells.places`, starts the app
there.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from matrix.errors import UsageError, did_you_mean
from matrix.model.cell import Cell
from matrix.model.probe import Channel
from matrix.system.files import read_toml
from matrix.system.paths import data_dir

DOCKER = "docker"
"""The place of every cell that runs in a container and has no other."""


class Need(str, enum.Enum):
    """Things that places need to run cells."""

    ENGINE = "engine"
    CLUSTER = "cluster"


_REMEDIES = {
    Need.ENGINE: "on this machine itself, not in containers: run with --engine docker",
    Need.CLUSTER: "no cluster was named: run with --place kubernetes --context NAME",
}


class Outside(str, enum.Enum):
    """The ways of an app once that which makes its place is taken away.

    SILENT: nothing of it reaches the agent. DIFFERENT: it runs as anywhere else, and its spans are
    not those that it has in the place.
    """

    SILENT = "silent"
    DIFFERENT = "different"


@dataclasses.dataclass(frozen=True)
class Place:
    """A deployment type, as documents call it, and how cells run in it.

    `shape` is what reports add to a verdict where the place only stands in for its deployment, ""
    for the deployment itself. `needs` is what it needs to run. `mechanism`
    is the module that starts the app there, "" for an ordinary container; `options` are its own.
    `requirements` are installed beside the app's own, `pythons` are the CPythons that they are for,
    "" for all; `servers` are the kinds of sample apps that it starts, none for all.
    `extension_detects` maps a capability to the releases of the tracer in which
    Datadog's extension has it and the library has not; what the capabilities `extension_forwards`
    show goes no further without it.
    """

    name: str
    deployment: str
    needs: Need
    shape: str = ""
    mechanism: str = ""
    outside: Outside = Outside.SILENT
    requirements: tuple[str, ...] = ()
    pythons: str = ""
    servers: tuple[str, ...] = ()
    extension_detects: Mapping[str, str] = dataclasses.field(default_factory=dict)
    extension_forwards: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def cell_place(self) -> str:
        """Return the place in the ids of its cells: "" for those of an ordinary container."""
        return self.name if self.mechanism else ""

    @property
    def remedy(self) -> str:
        """Return what a run lacks that has no such place, and how to get it."""
        return _REMEDIES[self.needs]

    def asks(self, channel: Channel) -> bool:
        """Return whether a claim may rest on a channel there: it is run outside as well.

        Where nothing reaches the agent outside, no configuration comes from it.
        """
        return channel.documented and (self.is_left or not channel.configs)

    @property
    def is_left(self) -> bool:
        """Return whether an app can leave it and run as anywhere else."""
        return self.outside is Outside.DIFFERENT


def outside_channel(channel: str) -> str:
    """Return the name of the finding on what a channel showed outside of the cell's place."""
    return f"{channel} outside"


@functools.cache
def load_places(folder: Path | None = None) -> Mapping[str, Place]:
    """Return the places by name, those of a deployment itself before what stands in for it.

    Raises ValueError, KeyError or TypeError for a file that does not describe one.
    """
    places = (
        _read(path.stem, read_toml(path))
        for path in (folder or data_dir() / "places").glob("*.toml")
    )
    ordered = sorted(places, key=lambda place: (place.deployment, bool(place.shape), place.name))
    return MappingProxyType({place.name: place for place in ordered})


def _read(name: str, data: dict[str, Any]) -> Place:
    return Place(
        **{
            **data,
            "name": name,
            "needs": Need(data["needs"]),
            "outside": Outside(data.get("outside", Outside.SILENT)),
            "requirements": tuple(data.get("requirements", ())),
            "servers": tuple(data.get("servers", ())),
            "extension_forwards": tuple(data.get("extension_forwards", ())),
        }
    )


def shapes_of(cells: Iterable[Cell]) -> tuple[str, ...]:
    """Return, as reports have it, what stood in for a deployment in any of these cells."""
    places = dict.fromkeys(cell.place for cell in cells if cell.place)
    return tuple(shape for place in places if (shape := find_place(place).shape))


def find_place(name: str) -> Place:
    """Return the place called `name`; raise UsageError where there is none."""
    places = load_places()
    if name not in places:
        hint = did_you_mean(name, places)
        raise UsageError(f"unknown place {name!r}{hint}", f"Places: {', '.join(places)}.")
    return places[name]


def runs_on_cluster(name: str) -> bool:
    """Return whether the cells of a place run on a cluster; `name` is "" for no place."""
    return bool(name) and find_place(name).needs is Need.CLUSTER


def place_file(name: str) -> Path:
    """Return the file that describes a place."""
    return data_dir() / "places" / f"{name}.toml"


def places_with(needs: Collection[Need]) -> tuple[Place, ...]:
    """Return the places that run where there is what `needs` names."""
    return tuple(place for place in load_places().values() if place.needs in needs)
