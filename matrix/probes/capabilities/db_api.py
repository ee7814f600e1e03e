"""Probe of DB-API tracing: queries have spans with timing, statement and error."""

from __future__ import annotations

from matrix.model.probe import AllOf, Channel, Compared, Probe, Stimulus
from matrix.probes.evidence.http import StatusIs
from matrix.probes.evidence.spans import SpanSeen

PROBE = Probe(
    name="db-api",
    title="Database queries are traced",
    channels=(
        Channel(
            name="query",
            setting="off",
            control="untraced",
            stimuli=(
                Stimulus(
                    name="select",
                    path="/{shop}/stock/Emma",
                    compared=Compared.ANSWER,
                    plain=200,
                    evidence=AllOf(
                        StatusIs(200), SpanSeen(type="sql", resource="SELECT copies FROM stock")
                    ),
                ),
            ),
        ),
        Channel(
            name="error",
            setting="off",
            control="untraced",
            stimuli=(
                Stimulus(
                    name="no-such-table",
                    path="/{shop}/stock-error",
                    compared=Compared.ANSWER,
                    plain=500,
                    evidence=AllOf(
                        StatusIs(500), SpanSeen(type="sql", resource="warehouse", error=True)
                    ),
                ),
            ),
        ),
    ),
)
