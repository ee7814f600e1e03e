"""Remove what dead runs left on an engine, and all that the project made, and nothing else.

Only what has our label is looked at. What a living run made stays, and so does what was made from
another machine or another cache folder, whose runs cannot be seen from here, unless forced.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable

import docker.errors

from matrix.containers.client import Client
from matrix.containers.failures import translated
from matrix.containers.inventory import Item, containers, images, is_ours, networks, volumes
from matrix.containers.labels import Life
from matrix.containers.seam import ContainerError, EngineLostError

__all__ = ["Cleaned", "clean", "sweep"]

_GOING = 409
"""Of a container: it is being removed already. Of others: something uses it."""


@dataclasses.dataclass(frozen=True)
class Cleaned:
    """What went (or would go), and what stayed with the reason."""

    gone: tuple[Item, ...]
    left: tuple[tuple[Item, str], ...]


def sweep(client: Client) -> int:
    """Remove what dead runs of this machine left; return how many objects. Raises ContainerError.

    Images and complete copies of folders are for the next run and stay.
    """
    gone = 0
    # In this order: a container in use holds its volumes and networks.
    for listed in (containers, networks, volumes):
        for item in listed(client):
            if item.life is Life.DEAD and not item.kept:
                gone += not _removed(client, item)
    return gone


def clean(client: Client, *, force: bool = False, dry_run: bool = False) -> Cleaned:
    """Remove all that the project made; `force` that of living and of unknown runs, too.

    Raises ContainerError where the engine fails; what it will not part with is left and told.
    """
    gone: list[Item] = []
    left: list[tuple[Item, str]] = []
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
    return Cleaned(tuple(gone), tuple(left))


def _alive(item: Item) -> str:
    if item.life is Life.LIVING:
        return "its run is under way"
    if item.life is Life.UNKNOWN:
        return "made from another machine or cache folder: whether its run lives cannot be told"
    return ""


def _removed(client: Client, item: Item) -> str:
    """Remove an object; return "" or why the engine will not."""
    remove: dict[str, Callable[[Client, Item], None]] = {
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


def _remove_container(client: Client, item: Item) -> None:
    try:
        client.remove_container(item.id, v=True, force=True)
    except docker.errors.APIError as error:
        if error.status_code != _GOING:
            raise


def _remove_image(client: Client, item: Item) -> None:
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
