"""Probe of software composition analysis: telemetry lists the distributions of the app."""

from __future__ import annotations

from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.evidence.http import DependencyReported

PROBE = Probe(
    name="sca",
    title="Dependencies are reported",
    channels=(
        Channel(
            name="environment",
            setting="appsec",
            stimuli=(
                Stimulus(
                    name="dependency",
                    path="/{shop}/",
                    # Imported by both sample apps and by nothing else.
                    evidence=DependencyReported("inflection"),
                    attempts=1,
                    # Two to three heartbeats of telemetry, see DD_TELEMETRY_HEARTBEAT_INTERVAL.
                    patience=16.0,
                ),
            ),
        ),
    ),
)
