"""Evidence in telemetry: the dependencies that the software composition analysis reports."""

from __future__ import annotations

import dataclasses
import re

from matrix.model.probe import Match, Sighting

__all__ = ["DependencyReported"]


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclasses.dataclass(frozen=True)
class DependencyReported:
    """Telemetry lists the distribution, with a version."""

    name: str

    def look(self, sighting: Sighting) -> Match:
        """Return whether any telemetry payload of the process lists it."""
        count = 0
        for message in sighting.telemetry:
            payload = message.get("payload")
            if not isinstance(payload, dict):
                continue
            for item in payload.get("dependencies") or ():
                if not isinstance(item, dict):
                    continue
                count += 1
                if _normalised(str(item.get("name"))) == _normalised(self.name):
                    version = item.get("version")
                    if version:
                        kind = message.get("request_type")
                        return Match(holds=True, said=f"{kind} lists {self.name} {version}")
        what = f"{count} dependencies, not {self.name}" if count else "no dependencies"
        return Match(holds=False, said=f"{len(sighting.telemetry)} telemetry messages list {what}")
