"""Recipes of a toy server, for tests of what starts and ends servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from matrix.model.service import ServiceKind
from matrix.services.recipes import (
    AvailableService,
    ServiceRecipe,
    ServiceRecipes,
    ServiceSource,
    SetupStep,
)

SERVER = Path(__file__).parent / "toy_server.py"


def toy_way(how: str = "good", **fields: Any) -> ServiceSource:  # noqa: ANN401 - its fields
    """A server at a Unix socket, with `ports` at ports."""
    ports = fields.get("ports", 0)
    addresses = [f"{{port{number}}}" for number in range(ports)] or ["{folder}/toy.sock"]
    return ServiceSource(
        **{
            "kind": ServiceKind.SERVER,
            "source": "stub",
            "packages": "toy-server",
            "programs": {"python": sys.executable},
            "version": ("--version",),
            "commands": tuple(("{python}", "-S", str(SERVER), how, each) for each in addresses),
            "sockets": () if ports else ("{folder}/toy.sock",),
            "seconds": 20.0,
            **fields,
        }
    )


def toy(how: str = "good", *, name: str = "toy", **fields: Any) -> ServiceRecipe:  # noqa: ANN401 - its fields
    """The toy as a service."""
    return ServiceRecipe(
        name=name,
        title="The toy",
        protocol="memcached",
        ways=(toy_way(how, **fields),),
        user="bookshop",
        url="toy://{host}:{port}",
    )


def recipes(*those: ServiceRecipe) -> ServiceRecipes:
    return ServiceRecipes({recipe.name: recipe for recipe in those})


def found(recipe: ServiceRecipe) -> AvailableService:
    return AvailableService(recipe.ways[0], "1.0", {"python": sys.executable})


__all__ = ["SERVER", "SetupStep", "found", "recipes", "toy", "toy_way"]
