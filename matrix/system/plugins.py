"""Loader of plug-in folders: packages whose modules define one thing each, under one name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def plugin_names(package: ModuleType) -> list[str]:
    """Return the names of a package's modules, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def plugins(package: ModuleType, attribute: str) -> Iterator[tuple[str, Any]]:
    """Yield each module's name with its value of `attribute`.

    Raises AttributeError for a module without it: a plug-in folder holds plug-ins only.
    """
    for name in plugin_names(package):
        yield name, getattr(importlib.import_module(f"{package.__name__}.{name}"), attribute)
