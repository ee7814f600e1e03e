"""DB-API: what the app asks its database is traced, with timing, query and error."""

from matrix.evidence import AllOf, Answered, SpanSeen
from matrix.model.probe import Channel, Probe, Stimulus

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
                    plain=200,
                    evidence=AllOf(
                        Answered(200), SpanSeen(type="sql", resource="SELECT copies FROM stock")
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
                    plain=500,
                    evidence=AllOf(
                        Answered(500), SpanSeen(type="sql", resource="warehouse", error=True)
                    ),
                ),
            ),
        ),
    ),
)
