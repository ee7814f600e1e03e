"""Interpreters that the Windows launcher knows: `py -0p`."""

from __future__ import annotations

import locale
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.source import InterpreterSource, SearchPlaces

__all__ = ["SOURCE", "read_listing"]

_SECONDS = 10
_PATH = re.compile(r"(?P<path>[A-Za-z]:\\.*\.exe)\s*$")


def read_listing(text: str) -> Iterator[str]:
    """Yield the paths in what `py -0p` prints, one interpreter per line, a path at its end."""
    for line in text.splitlines():
        if match := _PATH.search(line):
            yield match["path"]


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    launcher = shutil.which("py", path=places.environ.get("PATH")) if places.windows else None
    if launcher is None:
        return
    try:
        said = subprocess.run(
            [launcher, "-0p"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding=locale.getpreferredencoding(do_setlocale=False),
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    yield from (Path(path) for path in read_listing(said.stdout))


SOURCE = InterpreterSource("py", 30, _candidates)
