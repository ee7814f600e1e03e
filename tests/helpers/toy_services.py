"""Recipes of a toy server, for tests of what starts and ends servers."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from matrix.model.service import ServiceKind
from matrix.services.forwarder import unix_dial
from matrix.services.pool import Services
from matrix.services.recipes import (
    AvailableService,
    ServiceRecipe,
    ServiceRecipes,
    ServiceSource,
    SetupStep,
)

__all__ = [
    "SERVER",
    "SetupStep",
    "available",
    "empty_in_the_end",
    "exchange_bytes",
    "recipes",
    "toy",
    "toy_services",
    "toy_source",
    "wait_until",
]

SERVER = Path(__file__).parent / "toy_server.py"


def toy_source(mode: str = "good", **fields: Any) -> ServiceSource:  # noqa: ANN401 - its fields
    """Return a source of a server at a Unix socket, with `ports` at ports."""
    ports = fields.get("ports", 0)
    addresses = [f"{{port{number}}}" for number in range(ports)] or ["{folder}/toy.sock"]
    return ServiceSource(
        **{
            "kind": ServiceKind.SERVER,
            "source": "stub",
            "packages": "toy-server",
            "programs": {"python": sys.executable},
            "version": ("--version",),
            "commands": tuple(
                ("{python}", "-S", str(SERVER), mode, address) for address in addresses
            ),
            "sockets": () if ports else ("{folder}/toy.sock",),
            "seconds": 20.0,
            **fields,
        }
    )


def toy(mode: str = "good", *, name: str = "toy", **fields: Any) -> ServiceRecipe:  # noqa: ANN401 - its fields
    """Return the recipe of the toy server."""
    return ServiceRecipe(
        name=name,
        title="The toy",
        protocol="memcached",
        sources=(toy_source(mode, **fields),),
        user="bookshop",
        url="toy://{host}:{port}",
    )


def recipes(*services: ServiceRecipe) -> ServiceRecipes:
    return ServiceRecipes({recipe.name: recipe for recipe in services})


def toy_services(below: Path, *services: ServiceRecipe, **options: Any) -> Services:  # noqa: ANN401
    return Services(recipes=recipes(*services), below=below, **options)


def available(recipe: ServiceRecipe) -> AvailableService:
    return AvailableService(recipe.sources[0], "1.0", {"python": sys.executable})


@contextlib.contextmanager
def empty_in_the_end() -> Iterator[Path]:
    """Yield a folder with a short path, which must be empty in the end."""
    with tempfile.TemporaryDirectory(prefix="ts-") as folder:
        yield Path(folder)
        assert list(Path(folder).iterdir()) == []


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)


def exchange_bytes(path: str, data: bytes) -> bytes:
    """Return the reply to `data` at a Unix socket."""
    with unix_dial(path)() as sock:
        sock.sendall(data)
        return sock.recv(100)
