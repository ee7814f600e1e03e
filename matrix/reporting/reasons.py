"""The words for each typed reason: a title, a sentence, and what makes it verifiable here."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Mapping

from matrix.model.reason import Reason
from matrix.places import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Explained", "load_reasons"]


@dataclasses.dataclass(frozen=True)
class Explained:
    """`remedy` may hold `{cell}`, the id of a cell to try by hand."""

    title: str
    sentence: str
    remedy: str

    def remedy_for(self, cell: str) -> str:
        """Return the remedy, for this cell where it is about one."""
        return self.remedy.replace("{cell}", cell or "CELL")


@functools.cache
def load_reasons() -> Mapping[Reason, Explained]:
    """Return the words for every reason; raise KeyError or ValueError where the data lacks one."""
    with (data_dir() / "reasons.toml").open("rb") as stream:
        data = tomllib.load(stream)
    strangers = set(data) - {reason.value for reason in Reason}
    if strangers:
        raise ValueError(f"reasons.toml explains what is no reason: {', '.join(sorted(strangers))}")
    return {reason: Explained(**data[reason.value]) for reason in Reason}
