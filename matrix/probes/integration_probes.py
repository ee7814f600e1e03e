"""Probes of integrations, built from the declarations of `apps/libraries/`.

The channel `automatic` runs the library under the tracer's own start without any call in the code:
a row with "automatic: yes" promises that it is traced, one with "no" that it is not. The channel
`explicit` adds the call that the tracer's documentation names. The control of both has tracing
disabled. Where the module has a call that fails, `automatic-error` and `explicit-error` test it.
"""

from __future__ import annotations

from matrix.model.probe import Channel, Evidence, Probe, Stimulus
from matrix.probes.declaration import DeclaredSpan, Integration
from matrix.probes.evidence.combine import AllOf
from matrix.probes.evidence.http import StatusIs
from matrix.probes.evidence.spans import RecordTellsTrace, SpanBelow

AUTOMATIC = "automatic"
EXPLICIT = "explicit"
ERROR = "-error"
_CONTROL = "untraced"
_SETTINGS = {AUTOMATIC: "off", EXPLICIT: "explicit"}


def probe_name(slug: str) -> str:
    """Return the name of the probe of a library."""
    return f"integration-{slug}"


def build_probe(integration: Integration) -> Probe:
    """Build the probe of a row of an integration table."""
    channels = []
    for name, setting in _SETTINGS.items():
        if name == EXPLICIT and not integration.explicit:
            continue
        channels.append(_build_channel(name, setting, "call", _call_evidence(integration), 200))
        if integration.error is not None:
            evidence = _span_evidence(integration.error, error=True)
            channels.append(_build_channel(name + ERROR, setting, "fail", evidence, 500))
    return Probe(
        name=probe_name(integration.slug),
        title=f"{integration.slug} is traced",
        channels=tuple(channels),
        frameworks=(integration.slug,),
        services=(integration.service,) if integration.service else (),
    )


def _build_channel(
    name: str, setting: str, function: str, evidence: Evidence, status: int
) -> Channel:
    stimulus = Stimulus(
        name=function,
        path=f"/{{shop}}/{function}",
        plain=status,
        evidence=AllOf(StatusIs(status), evidence),
    )
    return Channel(name=name, setting=setting, control=_CONTROL, stimuli=(stimulus,))


def _call_evidence(integration: Integration) -> Evidence:
    if not integration.spans:
        return RecordTellsTrace(integration.log)
    spans = [_span_evidence(span, error=False) for span in integration.spans]
    return spans[0] if len(spans) == 1 else AllOf(*spans)


def _span_evidence(declared: DeclaredSpan, *, error: bool) -> SpanBelow:
    return SpanBelow(
        names=declared.names,
        component=declared.component,
        resource=declared.resource,
        type=declared.type,
        tags=declared.tags,
        error=error,
        own=declared.own,
    )
