"""Evidence that combines other evidence."""

from __future__ import annotations

import dataclasses

from matrix.model.probe import Evidence, Match, Observation


@dataclasses.dataclass(frozen=True, init=False)
class AllOf:
    """Every part holds; the text has the parts that do not, or else all of them."""

    parts: tuple[Evidence, ...]

    def __init__(self, *parts: Evidence) -> None:
        object.__setattr__(self, "parts", parts)

    def match(self, observation: Observation) -> Match:
        """Return whether all parts hold."""
        matches = [part.match(observation) for part in self.parts]
        missing = [match for match in matches if not match.holds]
        clauses: list[str] = []
        for match in missing or matches:
            clauses += match.clauses or (match.text,)
        return Match(holds=not missing, text="; ".join(clauses), clauses=tuple(clauses))
