"""Interpreters on PATH. Shims are not interpreters, and an environment stands for its base."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.source import InterpreterSource, SearchPlaces

__all__ = ["SOURCE"]

_NAME = re.compile(r"python([23](\.\d+)?)?(\.exe)?", re.IGNORECASE)


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    for entry in places.environ.get("PATH", "").split(os.pathsep):
        folder = Path(entry)
        # A shim may start any version, depending on the folder it is run in.
        if not folder.is_absolute() or folder.name == "shims":
            continue
        home = _base_of_environment(folder)
        yield from _pythons(home or folder)


def _base_of_environment(folder: Path) -> Path | None:
    """Return the folder of the interpreter that the environment around `folder` was made from."""
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
        paths = sorted(folder.iterdir())
    except OSError:
        return
    yield from (path for path in paths if _NAME.fullmatch(path.name))


SOURCE = InterpreterSource("path", 50, _candidates)
