"""How long a cell is expected to take, from `data/durations.toml`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

from matrix.model.plan import PlannedCell
from matrix.planning.data import read_data

__all__ = ["Durations", "load_durations"]

# However little is known of it, a cell starts a process.
_LEAST = 0.5


@dataclasses.dataclass(frozen=True)
class Durations:
    """Seconds: of a cell of a framework or library with one probe, of each `probe` more, of a soak.

    `cell` stands for frameworks and libraries that nobody measured.
    """

    cell: float
    probe: float
    soak: float
    frameworks: Mapping[str, float]

    def of(self, planned: PlannedCell) -> float:
        """Return how many seconds the cell is expected to take, once its environment is there."""
        base = self.frameworks.get(planned.cell.framework, self.cell)
        more = len(planned.probes) - 1 + (planned.repeats - 1) * len(planned.decisive)
        return max(_LEAST, math.fsum((base, more * self.probe, planned.soak * self.soak)))


def load_durations() -> Durations:
    """Return what was measured last, as it is committed."""
    data = read_data("durations")
    return Durations(data["cell"], data["probe"], data["soak"], data["frameworks"])
