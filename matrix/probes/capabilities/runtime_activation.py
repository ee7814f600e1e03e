"""Probe of runtime activation: remote configuration turns Threat Detection on in a running app."""

from __future__ import annotations

import dataclasses

from matrix.model.probe import Probe
from matrix.probes.capabilities import threat_detection

PROBE = Probe(
    name="runtime-activation",
    title="Threat Detection is activated while the app runs",
    channels=tuple(
        dataclasses.replace(channel, claimed=True)
        for channel in threat_detection.PROBE.channels
        if channel.configs
    ),
)
