"""Interpreters that pyenv (or pyenv-win) built: `<root>/versions/*/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.sources import Places, Source

__all__ = ["SOURCE"]


def _candidates(places: Places) -> Iterator[Path]:
    given = places.environ.get("PYENV_ROOT")
    roots = [Path(given)] if given else []
    roots += [places.home / ".pyenv", places.home / ".pyenv" / "pyenv-win"]
    for root in dict.fromkeys(roots):
        for version in sorted(root.glob("versions/*")):
            yield version / "python.exe" if places.windows else version / "bin" / "python"


SOURCE = Source("pyenv", 10, _candidates)
