"""Software composition analysis: telemetry lists the distributions that the app uses."""

from matrix.evidence import DependencyReported
from matrix.model.probe import Channel, Probe, Stimulus

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
                    # Both sample apps import it, and nothing else does.
                    evidence=DependencyReported("inflection"),
                    attempts=1,
                    # Two to three heartbeats of telemetry, see DD_TELEMETRY_HEARTBEAT_INTERVAL.
                    patience=16.0,
                ),
            ),
        ),
    ),
)
