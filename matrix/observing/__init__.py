"""From a capture to sightings: what each request caused, and whether the tracer was alive.

Pure: the runner uses it to see whether another attempt is due, the judge to judge again.
"""

from matrix.observing.controls import why_no_control
from matrix.observing.liveness import Liveness, liveness, reported_versions
from matrix.observing.sightings import sighting_of, sightings
from matrix.observing.telemetry import telemetry_messages
from matrix.observing.traces import Traces

__all__ = [
    "Liveness",
    "Traces",
    "liveness",
    "reported_versions",
    "sighting_of",
    "sightings",
    "telemetry_messages",
    "why_no_control",
]
