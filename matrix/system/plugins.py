"""Plug-in folders: packages whose modules each define one thing under an agreed name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

__all__ = ["plugin_names", "plugins"]


def plugin_names(package: ModuleType) -> list[str]:
    """Return the names of a package's modules, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__))


def plugins(package: ModuleType, attribute: str) -> Iterator[tuple[str, Any]]:
    """Yield what each module of a package defines as `attribute`, with the module's name.

    Raises AttributeError for a module that does not define it: a plug-in folder holds nothing else.
    """
    for name in plugin_names(package):
        yield name, getattr(importlib.import_module(f"{package.__name__}.{name}"), attribute)
