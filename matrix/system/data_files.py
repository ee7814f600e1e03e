"""TOML files: those of `matrix/data`, read once, and any other, read and written."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.system.atomic import write_atomic
from matrix.system.paths import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOMLDecodeError = tomllib.TOMLDecodeError


@functools.cache
def read_data(name: str) -> dict[str, Any]:
    """Return the content of `matrix/data/<name>.toml`; callers must not change it."""
    return read_toml(data_dir() / f"{name}.toml")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file; raise OSError or ValueError (as TOMLDecodeError is)."""
    return parse_toml(path.read_bytes().decode("utf-8"))


def parse_toml(text: str) -> dict[str, Any]:
    """Return the content of a TOML document; raise TOMLDecodeError."""
    data: dict[str, Any] = tomllib.loads(text)
    return data


def write_toml(path: Path, data: Mapping[str, Any]) -> None:
    """Replace the content of a TOML file atomically, but keep its comment lines, at the top."""
    import tomli_w  # noqa: PLC0415 - only for maintenance commands

    lines = path.read_text(encoding="utf-8").splitlines()
    comment = "".join(f"{line}\n" for line in lines if line.startswith("#"))
    write_atomic(path, comment + tomli_w.dumps(data))
