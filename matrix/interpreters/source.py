"""Sources of interpreters: one module of `sources/` each, which defines `SOURCE`.

A source only names candidates, without running them; it must be quick and must not fail where the
tool it looks for is absent.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from matrix.interpreters import sources
from matrix.system.plugins import plugins

__all__ = ["InterpreterSource", "SearchPlaces", "load_sources"]


@dataclasses.dataclass(frozen=True)
class SearchPlaces:
    """What a source may look at: the caller's variables, home folder and `sys.platform`."""

    environ: Mapping[str, str]
    home: Path
    platform: str

    @property
    def windows(self) -> bool:
        """Return whether executables end with `.exe` and lie beside the library."""
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
    found = (source for _, source in plugins(sources, "SOURCE"))
    return tuple(sorted(found, key=lambda source: (source.rank, source.name)))
