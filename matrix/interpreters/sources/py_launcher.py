"""Interpreters that the Windows launcher lists: `py -0p`."""

from __future__ import annotations

import locale
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.discovery import InterpreterSource, SearchPlaces

_TIMEOUT_SECONDS = 10
_PATH = re.compile(r"(?P<path>[A-Za-z]:\\.*\.exe)\s*$")


def read_listing(text: str) -> Iterator[str]:
    """Yield the paths in the output of `py -0p`: one at the end of the line of each interpreter."""
    for line in text.splitlines():
        if match := _PATH.search(line):
            yield match["path"]


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    launcher = shutil.which("py", path=places.environ.get("PATH")) if places.windows else None
    if launcher is None:
        return
    try:
        process = subprocess.run(
            [launcher, "-0p"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding=locale.getpreferredencoding(do_setlocale=False),
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return
    yield from (Path(path) for path in read_listing(process.stdout))


SOURCE = InterpreterSource("py", 30, _candidates)
