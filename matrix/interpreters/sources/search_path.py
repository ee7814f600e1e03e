"""Interpreters on PATH, without shims, and with the base interpreters of environments."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.discovery import InterpreterSource, SearchPlaces

_NAME = re.compile(r"python([23](\.\d+)?)?(\.exe)?", re.IGNORECASE)


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    for entry in places.environ.get("PATH", "").split(os.pathsep):
        folder = Path(entry)
        # A shim starts a version that depends on the current folder.
        if not folder.is_absolute() or folder.name == "shims":
            continue
        yield from _pythons(_base_folder(folder) or folder)


def _base_folder(folder: Path) -> Path | None:
    """Return the folder of the base interpreter if `folder` belongs to a virtual environment."""
    try:
        text = (folder.parent / "pyvenv.cfg").read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    for line in text.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            return Path(value.strip())
    return None


def _pythons(folder: Path) -> Iterator[Path]:
    try:
        # Folders of programs have thousands of files: sort those of interest only.
        paths = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    except OSError:
        return
    yield from paths


SOURCE = InterpreterSource("path", 50, _candidates)
