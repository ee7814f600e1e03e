"""Which machine runs the cells of a target, from `data/runners.toml`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from matrix.planning.data import read_data

__all__ = ["Runner", "here", "load_runners"]


# As many run at a time on GitHub's machines; what is made here is to be the same everywhere.
_CELLS = 8


@dataclasses.dataclass(frozen=True)
class Runner:
    """`label` names the machine, `engine` (`docker`, `local`) how it runs cells.

    `cells` run on it at a time. `architecture` and `pythons` are for what installs CPythons there:
    empty where the cells bring their own, or the machine has what it has.
    """

    label: str
    engine: str
    architecture: str
    cells: int
    pythons: tuple[str, ...] = ()


def load_runners() -> Mapping[str, Runner]:
    """Return the machines by target."""
    return {
        target: Runner(
            label=data["runner"],
            engine=data["engine"],
            architecture=data["architecture"],
            cells=data["cells"],
            pythons=tuple(data.get("pythons", ())),
        )
        for target, data in read_data("runners").items()
    }


def here(target: str) -> Runner:
    """Return this machine, which is of `target`, in the place of GitHub's."""
    known = load_runners().get(target)
    if known is None:
        return Runner("self-hosted", "local", "", _CELLS)
    return dataclasses.replace(known, engine="local")
