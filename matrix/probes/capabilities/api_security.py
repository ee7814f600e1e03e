"""Probe of API Security: schemas of requests are reported."""

from __future__ import annotations

from matrix.model.probe import Channel, Probe, Stimulus
from matrix.probes.evidence.security import SchemaReported

PROBE = Probe(
    name="api-security",
    title="Request schemas are reported",
    channels=(
        Channel(
            name="environment",
            setting="appsec",
            stimuli=(
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
            ),
        ),
    ),
)
