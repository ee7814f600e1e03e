"""Probe of API Security: schemas of requests are reported.

As documented, and with the experimental switch of the releases before the documented minimum.
"""

from __future__ import annotations

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
        Channel(
            name="experimental",
            setting="experimental-api-security",
            stimuli=_STIMULI,
            documented=False,
            claimed=False,
        ),
    ),
)
