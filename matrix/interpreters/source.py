"""The interface of interpreter sources, and their loader.

Each module of `sources/` defines one source as `SOURCE`. A source lists candidates without running
them; it must be quick and must not fail where the tool it looks for is absent.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from matrix.interpreters import sources
from matrix.system.plugins import plugins


@dataclasses.dataclass(frozen=True)
class SearchPlaces:
    """The machine as a source sees it: variables, home folder and `sys.platform`."""

    environ: Mapping[str, str]
    home: Path
    platform: str

    @property
    def windows(self) -> bool:
        """Return whether executables are called `.exe` and are beside the library."""
        return self.platform == "win32"


@dataclasses.dataclass(frozen=True)
class InterpreterSource:
    """`name` goes into `Interpreter.source`; of two equal versions the lower `rank` wins."""

    name: str
    rank: int
    candidates: Callable[[SearchPlaces], Iterable[Path]]


@functools.lru_cache(maxsize=1)
def load_sources() -> tuple[InterpreterSource, ...]:
    """Return the source of every module of `sources/`, by rank."""
    loaded = (source for _, source in plugins(sources, "SOURCE"))
    return tuple(sorted(loaded, key=lambda source: (source.rank, source.name)))
