"""Recipes of a toy server, for tests of what starts and ends servers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from matrix.model.service import ServiceKind
from matrix.services.recipes import Recipe, Recipes, Step, WayToHave
from matrix.services.sources import Found

SERVER = Path(__file__).parent / "toy_server.py"


def toy_way(how: str = "good", **fields: Any) -> WayToHave:  # noqa: ANN401 - its fields
    """A server at a Unix socket, with `ports` at ports."""
    ports = fields.get("ports", 0)
    addresses = [f"{{port{number}}}" for number in range(ports)] or ["{folder}/toy.sock"]
    return WayToHave(
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


def toy(how: str = "good", *, name: str = "toy", **fields: Any) -> Recipe:  # noqa: ANN401 - its fields
    """The toy as a service."""
    return Recipe(
        name=name,
        title="The toy",
        protocol="memcached",
        ways=(toy_way(how, **fields),),
        user="bookshop",
        url="toy://{host}:{port}",
    )


def recipes(*those: Recipe) -> Recipes:
    return Recipes({recipe.name: recipe for recipe in those})


def found(recipe: Recipe) -> Found:
    return Found(recipe.ways[0], "1.0", {"python": sys.executable})


__all__ = ["SERVER", "Step", "found", "recipes", "toy", "toy_way"]
