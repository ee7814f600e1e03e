"""A process as the judge sees it: what each of its requests caused, and whether it was alive."""

from __future__ import annotations

import dataclasses

from matrix.model.capture import ProcessCapture
from matrix.model.probe import Sighting
from matrix.observing import Liveness, liveness, sightings

__all__ = ["Seen", "see"]


@dataclasses.dataclass(frozen=True)
class Seen:
    """One process of the app, decoded once."""

    process: ProcessCapture
    liveness: Liveness
    sightings: tuple[Sighting, ...]

    def of(self, probe: str, channel: str, *, control: bool) -> list[Sighting]:
        """Return what the requests of a channel caused, or those of its negative control."""
        return [
            item
            for item in self.sightings
            if item.exchange.probe == probe
            and item.exchange.channel == channel
            and item.exchange.control == control
        ]


def see(process: ProcessCapture, version: str) -> Seen:
    """Return the process as seen by a judge who expects the tracer `version`."""
    return Seen(process, liveness(process, version), sightings(process))
