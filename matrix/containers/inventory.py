"""All that the project has on an engine, and whether it may go."""

from __future__ import annotations

import dataclasses
from typing import Any

from matrix.containers.client import Client
from matrix.containers.failures import translated
from matrix.containers.image_store import ImageStore
from matrix.containers.labels import (
    COMPLETE,
    CONTENT,
    PROJECT,
    PROJECT_LABELS,
    ROLE,
    RUN,
    Life,
    life_of,
)
from matrix.containers.seam import ImageInfo

__all__ = ["OURS", "Item", "containers", "images", "is_ours", "networks", "volumes"]

OURS = "compat-matrix"
"""The first part of every name that we give to an image."""

_LABEL = f"{PROJECT}={PROJECT_LABELS[PROJECT]}"


@dataclasses.dataclass(frozen=True)
class Item:
    """One object of ours. `life` is that of the run that made it; `kept` where it outlives its run.

    `size` is in bytes, None where it is not worth asking. `foreign` are names that others gave it.
    """

    kind: str
    id: str
    name: str
    life: Life
    size: int | None = None
    kept: bool = False
    foreign: tuple[str, ...] = ()


def containers(client: Client) -> tuple[Item, ...]:
    """Return the containers, running or not.

    One that somebody made by hand of an image of ours has inherited the image's labels, but has no
    run.
    """
    with translated("listing containers"):
        listed: Any = client.containers(all=True, filters={"label": [_LABEL, RUN]})
    return tuple(
        Item(
            "container",
            str(said["Id"]),
            str((said.get("Names") or [said["Id"]])[0]).lstrip("/"),
            life_of(said.get("Labels") or {}),
        )
        for said in listed
    )


def networks(client: Client) -> tuple[Item, ...]:
    """Return the networks."""
    with translated("listing networks"):
        listed: Any = client.networks(filters={"label": _LABEL})
    return tuple(
        Item("network", str(said["Id"]), str(said["Name"]), life_of(said.get("Labels") or {}))
        for said in listed
    )


def volumes(client: Client) -> tuple[Item, ...]:
    """Return the volumes. Complete copies of folders are kept; half-made ones go with their run."""
    with translated("listing volumes"):
        listed: Any = client.volumes(filters={"label": _LABEL})
    found = [(str(v["Name"]), dict(v.get("Labels") or {})) for v in listed.get("Volumes") or ()]
    complete = {labels.get(CONTENT) for _, labels in found}
    return tuple(
        Item(
            "volume",
            name,
            name,
            life_of(labels),
            kept=name in complete or labels.get(ROLE) == COMPLETE,
        )
        for name, labels in found
    )


def images(client: Client) -> tuple[Item, ...]:
    """Return the images that we made or pulled."""
    return tuple(_image(image) for image in ImageStore(client).ours())


def is_ours(name: str) -> bool:
    """Return whether a name of an image is one of those that we give."""
    repository = name.partition("@")[0].rpartition(":")[0]
    return repository == OURS or repository.startswith(f"{OURS}/")


def _image(image: ImageInfo) -> Item:
    own = [tag for tag in image.tags if is_ours(tag)]
    return Item(
        "image",
        image.id,
        own[0] if own else image.id,
        Life.DEAD,  # no run owns it
        image.size,
        kept=True,
        foreign=tuple(tag for tag in image.tags if not is_ours(tag)),
    )
