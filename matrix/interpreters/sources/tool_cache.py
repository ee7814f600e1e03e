"""Interpreters of a runner of GitHub Actions: `<tool cache>/Python/<version>/<architecture>/`.

There all that `actions/setup-python` installed lie side by side; on PATH is only the last.
https://github.com/actions/toolkit/tree/main/packages/tool-cache
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from matrix.interpreters.source import InterpreterSource, SearchPlaces

__all__ = ["SOURCE"]

_FOLDERS = ("RUNNER_TOOL_CACHE", "AGENT_TOOLSDIRECTORY")


def _candidates(places: SearchPlaces) -> Iterator[Path]:
    given = [places.environ[name] for name in _FOLDERS if places.environ.get(name)]
    for root in dict.fromkeys(given):
        # Beside the folder of one that is complete there is a file that says so.
        for mark in sorted(Path(root).glob("Python/*/*.complete")):
            home = mark.with_suffix("")
            yield home / "python.exe" if places.windows else home / "bin" / "python"


SOURCE = InterpreterSource("tool cache", 25, _candidates)
