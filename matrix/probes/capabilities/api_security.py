"""Probe of API Security: schemas of requests are reported.

As documented, where every request is sampled; with the sampling that a release has by default; and
with the experimental switch of the releases before the documented minimum.
"""

from __future__ import annotations

import dataclasses

from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.evidence.security import SchemaReported

_STIMULI = (
    Stimulus(
        name="json-body",
        method="POST",
        path="/{shop}/orders",
        headers=(("Content-Type", "application/json"),),
        body='{"book": "emma", "copies": 2}',
        evidence=SchemaReported("req.body"),
    ),
    Stimulus(
        name="query",
        path="/{shop}/search?q=Emma",
        evidence=SchemaReported("req.query"),
        decisive=False,
    ),
)

PROBE = Probe(
    name="api-security",
    title="Request schemas are reported",
    channels=(
        Channel(name="environment", setting="api-security", stimuli=_STIMULI),
        # By default the first request of a route in 30 s is sampled; up to 2.7 a tenth of all.
        Channel(
            name="default-sampling",
            setting="api-security-sampled",
            stimuli=(dataclasses.replace(_STIMULI[0], attempts=20),),
            claimed=False,
        ),
        Channel(
            name="experimental",
            setting="experimental-api-security",
            stimuli=_STIMULI,
            documented=False,
            claimed=False,
        ),
    ),
)
