"""Where interpreters may lie. One module per source; a new source is a new module with `SOURCE`.

A source only names candidates, without running them; it must be quick and must not fail where the
tool it looks for is absent.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

__all__ = ["Places", "Source", "load_sources"]


@dataclasses.dataclass(frozen=True)
class Places:
    """What a source may look at: the caller's variables, home folder and `sys.platform`."""

    environ: Mapping[str, str]
    home: Path
    platform: str

    @property
    def windows(self) -> bool:
        """Return whether executables end with `.exe` and lie beside the library."""
        return self.platform == "win32"


@dataclasses.dataclass(frozen=True)
class Source:
    """`name` goes into `Interpreter.source`; of two equal versions the lower `rank` wins."""

    name: str
    rank: int
    candidates: Callable[[Places], Iterable[Path]]


@functools.lru_cache(maxsize=1)
def load_sources() -> tuple[Source, ...]:
    """Return the source of every module of this package, by rank."""
    found = [
        importlib.import_module(f"{__name__}.{module.name}").SOURCE
        for module in pkgutil.iter_modules(__path__)
    ]
    return tuple(sorted(found, key=lambda source: (source.rank, source.name)))
