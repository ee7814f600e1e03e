"""Interpreters of a GitHub Actions runner: `<tool cache>/Python/<version>/<architecture>/`.

It has every version that `actions/setup-python` installed, while PATH has only the last one.
https://github.com/actions/toolkit/tree/main/packages/tool-cache
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.discovery import InterpreterSource, SearchPlaces

_VARIABLES = ("RUNNER_TOOL_CACHE", "AGENT_TOOLSDIRECTORY")


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    roots = [places.environ[name] for name in _VARIABLES if places.environ.get(name)]
    for root in dict.fromkeys(roots):
        # A file beside the folder marks a complete installation.
        for mark in sorted(Path(root).glob("Python/*/*.complete")):
            home = mark.with_suffix("")
            yield home / "python.exe" if places.windows else home / "bin" / "python"


SOURCE = InterpreterSource("tool cache", 25, _candidates)
