"""Loader of plug-in folders: packages whose modules define one thing each, under one name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any


def plugins(package: ModuleType, attribute: str) -> Iterator[tuple[str, Any]]:
    """Yield each module's name with its value of `attribute`, sorted by name.

    Raises AttributeError for a module without it: a plug-in folder holds plug-ins only.
    """
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        yield name, getattr(importlib.import_module(f"{package.__name__}.{name}"), attribute)
