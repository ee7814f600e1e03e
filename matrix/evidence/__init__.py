"""What counts as evidence: small pure predicates over a sighting, to be combined by probes."""

from matrix.evidence.appsec import SchemaReported, Triggered
from matrix.evidence.combine import AllOf, AnyOf, Not
from matrix.evidence.iast import VulnerabilityReported
from matrix.evidence.libraries import RecordTellsTrace, SpanBelow
from matrix.evidence.response import (
    Answered,
    BodyContains,
    FollowUpSays,
    HeaderContains,
    UpstreamSaw,
)
from matrix.evidence.spans import (
    ContinuesTrace,
    HasRootSpan,
    MetricEquals,
    SpanSeen,
    TagContains,
    TagEquals,
    TagExists,
    TagMatches,
)
from matrix.evidence.telemetry import DependencyReported

__all__ = [
    "AllOf",
    "Answered",
    "AnyOf",
    "BodyContains",
    "ContinuesTrace",
    "DependencyReported",
    "FollowUpSays",
    "HasRootSpan",
    "HeaderContains",
    "MetricEquals",
    "Not",
    "RecordTellsTrace",
    "SchemaReported",
    "SpanBelow",
    "SpanSeen",
    "TagContains",
    "TagEquals",
    "TagExists",
    "TagMatches",
    "Triggered",
    "UpstreamSaw",
    "VulnerabilityReported",
]
