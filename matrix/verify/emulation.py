"""What is different for cells of an emulated CPU, from `data/emulation.toml`."""

from __future__ import annotations

import dataclasses
import functools
import sys

from matrix.places import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Emulation", "load_emulation"]


@dataclasses.dataclass(frozen=True)
class Emulation:
    """`slower` is the factor of time limits; `cells_per_cpu` run at a time for each CPU."""

    slower: float
    cells_per_cpu: int


@functools.cache
def load_emulation() -> Emulation:
    """Return the policy; raise TypeError where the data is something else."""
    with (data_dir() / "emulation.toml").open("rb") as stream:
        return Emulation(**tomllib.load(stream))
