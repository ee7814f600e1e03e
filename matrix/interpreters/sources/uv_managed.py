"""Interpreters installed by `uv python install`, read from its data folder without running uv.

The folder: https://docs.astral.sh/uv/reference/storage/#python-versions
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.discovery import InterpreterSource, SearchPlaces


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    environ = places.environ
    if configured := environ.get("UV_PYTHON_INSTALL_DIR"):
        folder = Path(configured)
    elif places.windows:
        folder = Path(environ.get("APPDATA", places.home)) / "uv" / "data" / "python"
    else:
        data = environ.get("XDG_DATA_HOME")
        folder = (Path(data) if data else places.home / ".local" / "share") / "uv" / "python"
    for build in sorted(folder.glob("cpython-*")):
        if not build.is_symlink():
            yield build / "python.exe" if places.windows else build / "bin" / "python"


SOURCE = InterpreterSource("uv", 20, _candidates)
