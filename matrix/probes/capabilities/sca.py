"""Probe of software composition analysis: telemetry lists the distributions of the app.

As documented, telemetry is as a release has it by default. Where it is forced on, releases before
the documented minimum report dependencies, too.
"""

from __future__ import annotations

from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.evidence.http import DependencyReported

_STIMULI = (
    Stimulus(
        name="dependency",
        path="/{shop}/",
        # Imported by both sample apps and by nothing else.
        evidence=DependencyReported("inflection"),
        attempts=1,
        # Two to three heartbeats of telemetry, see DD_TELEMETRY_HEARTBEAT_INTERVAL.
        patience=16.0,
    ),
)

PROBE = Probe(
    name="sca",
    title="Dependencies are reported",
    channels=(
        Channel(name="environment", setting="sca", stimuli=_STIMULI),
        Channel(
            name="forced-telemetry",
            setting="forced-telemetry",
            stimuli=_STIMULI,
            documented=False,
            claimed=False,
        ),
    ),
)
