"""Interpreters of the python.org and Homebrew installers on macOS, also where PATH lacks them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.discovery import InterpreterSource, SearchPlaces

_FRAMEWORK = Path("/Library/Frameworks/Python.framework/Versions")
_BREW = (Path("/opt/homebrew/opt"), Path("/usr/local/opt"))


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    if places.platform != "darwin":
        return
    for version in sorted(_FRAMEWORK.glob("[23].*")):
        yield version / "bin" / f"python{version.name}"
    for brew in _BREW:
        for formula in sorted(brew.glob("python@*")):
            yield formula / "bin" / f"python{formula.name.partition('@')[2]}"


SOURCE = InterpreterSource("macos", 40, _candidates)
