"""Interpreters that pyenv (or pyenv-win) built: `<root>/versions/*/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.discovery import InterpreterSource, SearchPlaces


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    configured = places.environ.get("PYENV_ROOT")
    roots = [Path(configured)] if configured else []
    roots += [places.home / ".pyenv", places.home / ".pyenv" / "pyenv-win"]
    for root in dict.fromkeys(roots):
        for version in sorted(root.glob("versions/*")):
            yield version / "python.exe" if places.windows else version / "bin" / "python"


SOURCE = InterpreterSource("pyenv", 10, _candidates)
