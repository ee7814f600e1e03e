"""Removal of what dead runs left on an engine, or of all that the project made there.

Only objects with the project's label are considered. Objects of a living run stay, and so do those
of another machine or another cache folder, whose runs cannot be checked from here, unless forced.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from matrix.docker.client import CONFLICT, NOT_FOUND, EngineClient, allow_status, translate_errors
from matrix.docker.image_store import ImageStore
from matrix.docker.interface import ContainerError, EngineLostError
from matrix.docker.labels import (
    COMPLETE,
    CONTENT,
    PROJECT_FILTER,
    ROLE,
    RUN,
    RunLife,
    find_run_life,
)

IMAGE_PREFIX = "compat-matrix"
"""The first part of every name that the project gives to an image."""

_REASONS_TO_KEEP = {
    RunLife.LIVING: "its run is under way",
    RunLife.UNKNOWN: "made from another machine or cache folder: cannot check whether its run is"
    " alive",
}


@dataclasses.dataclass(frozen=True)
class EngineObject:
    """An object of the project; `life` is that of its run, which it outlives if `persistent`.

    `size` is in bytes, None where it is too slow to find out. `foreign` are names that others gave
    to an image.
    """

    kind: str
    id: str
    name: str
    life: RunLife
    size: int | None = None
    persistent: bool = False
    foreign: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class CleanupResult:
    """Objects that were removed (or would be), and those that remain, with the reason."""

    removed: tuple[EngineObject, ...]
    remaining: tuple[tuple[EngineObject, str], ...]


def sweep(client: EngineClient) -> int:
    """Remove the objects of this machine's dead runs; return their number. Raises ContainerError.

    Images and complete copies of folders are for the next run and stay.
    """
    count = 0
    # In this order: a container in use holds its volumes and networks.
    for list_objects in (list_containers, list_networks, list_volumes):
        for item in list_objects(client):
            if item.life is RunLife.DEAD and not item.persistent:
                count += not _remove(client, item)
    return count


def clean(client: EngineClient, *, force: bool = False, dry_run: bool = False) -> CleanupResult:
    """Remove all that the project made; with `force` that of living and unknown runs, too.

    Raises ContainerError where the engine fails; what it refuses to remove is in the result.
    """
    removed: list[EngineObject] = []
    remaining: list[tuple[EngineObject, str]] = []
    for list_objects in (list_containers, list_networks, list_volumes, list_images):
        for item in list_objects(client):
            reason = "" if force or item.persistent else _REASONS_TO_KEEP.get(item.life, "")
            if not reason and not dry_run:
                reason = _remove(client, item)
            if not reason and item.foreign:
                reason = f"also named {', '.join(item.foreign)}, which is not ours"
            if reason:
                remaining.append((item, reason))
            else:
                removed.append(item)
    return CleanupResult(tuple(removed), tuple(remaining))


def list_containers(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the containers of runs, running or not.

    A container that a user made of our image inherits the image's labels, but has no run label.
    """
    with translate_errors("listing containers"):
        containers: Any = client.containers(all=True, filters={"label": [PROJECT_FILTER, RUN]})
    return tuple(
        EngineObject(
            "container",
            str(container["Id"]),
            str((container.get("Names") or [container["Id"]])[0]).lstrip("/"),
            find_run_life(container.get("Labels") or {}),
        )
        for container in containers
    )


def list_networks(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the private networks of containers."""
    with translate_errors("listing networks"):
        networks: Any = client.networks(filters={"label": PROJECT_FILTER})
    return tuple(
        EngineObject(
            "network",
            str(network["Id"]),
            str(network["Name"]),
            find_run_life(network.get("Labels") or {}),
        )
        for network in networks
    )


def list_volumes(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the volumes; complete copies of folders are persistent, incomplete ones are not."""
    with translate_errors("listing volumes"):
        listing: Any = client.volumes(filters={"label": PROJECT_FILTER})
    volumes = [(str(v["Name"]), dict(v.get("Labels") or {})) for v in listing.get("Volumes") or ()]
    complete = {labels.get(CONTENT) for _, labels in volumes}
    return tuple(
        EngineObject(
            "volume",
            name,
            name,
            find_run_life(labels),
            persistent=name in complete or labels.get(ROLE) == COMPLETE,
        )
        for name, labels in volumes
    )


def list_images(client: EngineClient) -> tuple[EngineObject, ...]:
    """Return the images that the project made or pulled."""
    objects = []
    for image in ImageStore(client).images():
        own = [tag for tag in image.tags if is_own_name(tag)]
        foreign = tuple(tag for tag in image.tags if not is_own_name(tag))
        name = own[0] if own else image.id
        # No run owns it.
        objects.append(
            EngineObject(
                "image", image.id, name, RunLife.DEAD, image.size, persistent=True, foreign=foreign
            )
        )
    return tuple(objects)


def is_own_name(name: str) -> bool:
    """Return whether an image's name is one that the project gives."""
    repository = name.partition("@")[0].rpartition(":")[0]
    return repository == IMAGE_PREFIX or repository.startswith(f"{IMAGE_PREFIX}/")


def _remove(client: EngineClient, item: EngineObject) -> str:
    """Remove an object; return "" or the engine's reason to refuse."""
    action = f"removing the {item.kind} {item.name}"
    try:
        with translate_errors(action), allow_status(NOT_FOUND):
            if item.kind == "container":
                with allow_status(CONFLICT):
                    client.remove_container(item.id, v=True, force=True)
            elif item.kind == "network":
                client.remove_network(item.id)
            elif item.kind == "volume":
                client.remove_volume(item.id)
            else:
                _remove_image(client, item)
    except EngineLostError:
        raise
    except ContainerError as error:
        return str(error)
    return ""


def _remove_image(client: EngineClient, item: EngineObject) -> None:
    """Remove our names of an image; with its last name it goes, unless a container uses it."""
    image = client.find_image(item.id)
    if image is None:
        return
    own = [tag for tag in image.get("RepoTags") or () if is_own_name(tag)]
    for name in own[1:]:
        client.remove_image(name)
    if item.foreign:
        for name in own[:1]:
            client.remove_image(name)
        return
    # The digest by which it was pulled counts as a name, too.
    for name in image.get("RepoDigests") or ():
        with allow_status(NOT_FOUND):
            client.remove_image(name)
    client.remove_image(own[0] if own else item.id)
