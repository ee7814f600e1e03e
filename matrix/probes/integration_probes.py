"""Probes of integrations, built from the declarations of `apps/libraries/`.

The channel `automatic` runs the library under the tracer's own start without any call in the code:
a row with "automatic: yes" promises that it is traced, one with "no" that it is not. The channel
`explicit` adds the call that the tracer's documentation names. The control of both has tracing
disabled. Where the module has a call that fails, its answer too must be that of the app without the
tracer; whether its span has the error is tested by `automatic-error` and `explicit-error`, for the
pages that promise it.
"""

from __future__ import annotations

import dataclasses

from matrix.model.probe import NO_EVIDENCE, Channel, Compared, Evidence, Probe, Stimulus
from matrix.probes.declaration import DeclaredSpan, Integration
from matrix.probes.evidence.combine import AllOf
from matrix.probes.evidence.http import StatusIs
from matrix.probes.evidence.spans import RecordTellsTrace, SpanBelow

AUTOMATIC = "automatic"
EXPLICIT = "explicit"
ERROR = "-error"
_CONTROL = "untraced"
_SETTINGS = {AUTOMATIC: "off", EXPLICIT: "explicit"}
_FAIL = Stimulus("fail", NO_EVIDENCE, "/{shop}/fail", plain=500, compared=Compared.ANSWER)


def probe_name(slug: str) -> str:
    """Return the name of the probe of a library."""
    return f"integration-{slug}"


def build_probe(integration: Integration) -> Probe:
    """Build the probe of a row of an integration table."""
    calls = [_call(integration)]
    if integration.fails:
        calls.append(dataclasses.replace(_FAIL, decisive=False))
    channels = []
    for name, setting in _SETTINGS.items():
        if name == EXPLICIT and not integration.explicit:
            continue
        channels.append(Channel(name, setting, tuple(calls), _CONTROL))
        if integration.error is not None:
            evidence = AllOf(StatusIs(500), _span_evidence(integration.error, error=True))
            failing = dataclasses.replace(_FAIL, evidence=evidence)
            channels.append(Channel(name + ERROR, setting, (failing,), _CONTROL))
    return Probe(
        name=probe_name(integration.slug),
        title=f"{integration.slug} is traced",
        channels=tuple(channels),
        frameworks=(integration.slug,),
        services=(integration.service,) if integration.service else (),
    )


def _call(integration: Integration) -> Stimulus:
    evidence = AllOf(StatusIs(200), _call_evidence(integration))
    # A log record holds what the tracer put into it.
    compared = Compared.ANSWER if integration.spans else Compared.STATUS
    return Stimulus("call", evidence, "/{shop}/call", plain=200, compared=compared)


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
