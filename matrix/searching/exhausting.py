"""Every release, from the newest down: what is wanted most is known first."""

from __future__ import annotations

import dataclasses

from matrix.searching.known import Known, Step, Why

__all__ = ["Exhaustive"]


@dataclasses.dataclass(frozen=True)
class Exhaustive:
    """Asks about all of them; nothing is assumed."""

    name: str = "exhaustive"

    def bound(self, releases: int) -> int:
        """Return the number of releases."""
        return releases

    def step(self, known: Known) -> Step | None:
        """Return the newest release that was not asked about."""
        for position in reversed(range(len(known.releases))):
            if position not in known.answers:
                return Step(position, Why.EVERY)
        return None
