"""Evidence made of evidence."""

from __future__ import annotations

import dataclasses

from matrix.model.probe import Evidence, Match, Observation

__all__ = ["AllOf", "AnyOf", "Not"]


@dataclasses.dataclass(frozen=True, init=False)
class AllOf:
    """Every part holds; says what is missing, else everything that was seen."""

    parts: tuple[Evidence, ...]

    def __init__(self, *parts: Evidence) -> None:
        object.__setattr__(self, "parts", parts)

    def look(self, sighting: Observation) -> Match:
        """Return whether all parts hold."""
        matches = [part.look(sighting) for part in self.parts]
        missing = [match.said for match in matches if not match.holds]
        if missing:
            return Match(holds=False, said="; ".join(missing))
        return Match(holds=True, said="; ".join(match.said for match in matches))


@dataclasses.dataclass(frozen=True, init=False)
class AnyOf:
    """At least one part holds; says the first that does, else that none does."""

    parts: tuple[Evidence, ...]

    def __init__(self, *parts: Evidence) -> None:
        object.__setattr__(self, "parts", parts)

    def look(self, sighting: Observation) -> Match:
        """Return whether any part holds."""
        matches = [part.look(sighting) for part in self.parts]
        for match in matches:
            if match.holds:
                return match
        return Match(holds=False, said=" and ".join(match.said for match in matches))


@dataclasses.dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Evidence

    def look(self, sighting: Observation) -> Match:
        """Return whether the part fails."""
        match = self.part.look(sighting)
        return Match(holds=not match.holds, said=match.said)
