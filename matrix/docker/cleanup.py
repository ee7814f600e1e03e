"""Remove what dead runs left on an engine, and all that the project made, and nothing else.

Only what has our label is looked at. What a living run made stays, and so does what was made from
another machine or another cache folder, whose runs cannot be seen from here, unless forced.

All that the project has on an engine, and whether it may go.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any

import docker.errors

from matrix.docker.client import EngineClient
from matrix.docker.errors import translated
from matrix.docker.image_store import ImageStore
from matrix.docker.interface import ContainerError, EngineLostError, ImageInfo
from matrix.docker.labels import (
    COMPLETE,
    CONTENT,
    PROJECT,
    PROJECT_LABELS,
    ROLE,
    RUN,
    RunLife,
    life_of,
)

__all__ = [
    "OURS",
    "CleanupResult",
    "EngineObject",
    "clean",
    "containers",
    "images",
    "is_ours",
    "networks",
    "sweep",
    "volumes",
]

OURS = "compat-matrix"
"""The first part of every name that we give to an image."""

_LABEL = f"{PROJECT}={PROJECT_LABELS[PROJECT]}"


@dataclasses.dataclass(frozen=True)
class EngineObject:
    """One object of ours. `life` is that of the run that made it; `kept` where it outlives its run.

    `size` is in bytes, None where it is not worth asking. `foreign` are names that others gave it.
    """

    kind: str
    id: str
    name: str
    life: RunLife
    size: int | None = None
    kept: bool = False
    foreign: tuple[str, ...] = ()


def containers(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the containers, running or not.

    One that somebody made by hand of an image of ours has inherited the image's labels, but has no
    run.
    """
    with translated("listing containers"):
        listed: Any = client.containers(all=True, filters={"label": [_LABEL, RUN]})
    return tuple(
        EngineObject(
            "container",
            str(said["Id"]),
            str((said.get("Names") or [said["Id"]])[0]).lstrip("/"),
            life_of(said.get("Labels") or {}),
        )
        for said in listed
    )


def networks(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the networks."""
    with translated("listing networks"):
        listed: Any = client.networks(filters={"label": _LABEL})
    return tuple(
        EngineObject(
            "network", str(said["Id"]), str(said["Name"]), life_of(said.get("Labels") or {})
        )
        for said in listed
    )


def volumes(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the volumes. Complete copies of folders are kept; half-made ones go with their run."""
    with translated("listing volumes"):
        listed: Any = client.volumes(filters={"label": _LABEL})
    found = [(str(v["Name"]), dict(v.get("Labels") or {})) for v in listed.get("Volumes") or ()]
    complete = {labels.get(CONTENT) for _, labels in found}
    return tuple(
        EngineObject(
            "volume",
            name,
            name,
            life_of(labels),
            kept=name in complete or labels.get(ROLE) == COMPLETE,
        )
        for name, labels in found
    )


def images(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the images that we made or pulled."""
    return tuple(_image(image) for image in ImageStore(client).ours())


def is_ours(name: str) -> bool:
    """Return whether a name of an image is one of those that we give."""
    repository = name.partition("@")[0].rpartition(":")[0]
    return repository == OURS or repository.startswith(f"{OURS}/")


def _image(image: ImageInfo) -> EngineObject:
    own = [tag for tag in image.tags if is_ours(tag)]
    return EngineObject(
        "image",
        image.id,
        own[0] if own else image.id,
        RunLife.DEAD,  # no run owns it
        image.size,
        kept=True,
        foreign=tuple(tag for tag in image.tags if not is_ours(tag)),
    )


_GOING = 409
"""Of a container: it is being removed already. Of others: something uses it."""


@dataclasses.dataclass(frozen=True)
class CleanupResult:
    """What went (or would go), and what stayed with the reason."""

    gone: tuple[EngineObject, ...]
    left: tuple[tuple[EngineObject, str], ...]


def sweep(client: EngineClient) -> int:
    """Remove what dead runs of this machine left; return how many objects. Raises ContainerError.

    Images and complete copies of folders are for the next run and stay.
    """
    gone = 0
    # In this order: a container in use holds its volumes and networks.
    for listed in (containers, networks, volumes):
        for item in listed(client):
            if item.life is RunLife.DEAD and not item.kept:
                gone += not _removed(client, item)
    return gone


def clean(client: EngineClient, *, force: bool = False, dry_run: bool = False) -> CleanupResult:
    """Remove all that the project made; `force` that of living and of unknown runs, too.

    Raises ContainerError where the engine fails; what it will not part with is left and told.
    """
    gone: list[EngineObject] = []
    left: list[tuple[EngineObject, str]] = []
    for listed in (containers, networks, volumes, images):
        for item in listed(client):
            reason = "" if force or item.kept else _alive(item)
            if not reason and not dry_run:
                reason = _removed(client, item)
            if not reason and item.foreign:
                reason = f"it is also {', '.join(item.foreign)}, which is not ours"
            if reason:
                left.append((item, reason))
            else:
                gone.append(item)
    return CleanupResult(tuple(gone), tuple(left))


def _alive(item: EngineObject) -> str:
    if item.life is RunLife.LIVING:
        return "its run is under way"
    if item.life is RunLife.UNKNOWN:
        return "made from another machine or cache folder: whether its run lives cannot be told"
    return ""


def _removed(client: EngineClient, item: EngineObject) -> str:
    """Remove an object; return "" or why the engine will not."""
    remove: dict[str, Callable[[EngineClient, EngineObject], None]] = {
        "container": _remove_container,
        "network": lambda client, item: client.remove_network(item.id),
        "volume": lambda client, item: client.remove_volume(item.id),
        "image": _remove_image,
    }
    try:
        doing = f"removing the {item.kind} {item.name}"
        with translated(doing), contextlib.suppress(docker.errors.NotFound):
            remove[item.kind](client, item)
    except EngineLostError:
        raise
    except ContainerError as error:
        return str(error)
    return ""


def _remove_container(client: EngineClient, item: EngineObject) -> None:
    try:
        client.remove_container(item.id, v=True, force=True)
    except docker.errors.APIError as error:
        if error.status_code != _GOING:
            raise


def _remove_image(client: EngineClient, item: EngineObject) -> None:
    """Take our names from it; with the last name it goes, unless a container uses it."""
    said = client.inspected(item.id)
    if said is None:
        return
    own = [tag for tag in said.get("RepoTags") or () if is_ours(tag)]
    for name in own[1:]:
        client.remove_image(name)
    if item.foreign:
        for name in own[:1]:
            client.remove_image(name)
        return
    # The digest by which it was pulled is a name, too, and the engine counts it.
    for name in said.get("RepoDigests") or ():
        with contextlib.suppress(docker.errors.NotFound):
            client.remove_image(name)
    client.remove_image(own[0] if own else item.id)
