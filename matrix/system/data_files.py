"""TOML files of `matrix/data`, read once."""

from __future__ import annotations

import functools
import sys
from typing import Any

from matrix.system.paths import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_data"]


@functools.cache
def read_data(name: str) -> dict[str, Any]:
    """Return what `matrix/data/<name>.toml` holds; not to be changed by the caller."""
    data: dict[str, Any] = tomllib.loads((data_dir() / f"{name}.toml").read_text(encoding="utf-8"))
    return data
