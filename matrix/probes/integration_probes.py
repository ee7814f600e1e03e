"""Probes of integrations, made of what the modules of `apps/libraries/` declare.

`automatic` is the library under the tracer's own start, without a word in the code: what a row with
"automatic: yes" promises, and one with "no" denies. `explicit` is the same with the call that the
tracer's documentation names. Both have tracing switched off as their control. Where the module has
a call that fails, `automatic-error` and `explicit-error` test what is promised of errors.
"""

from __future__ import annotations

from matrix.model.probe import Channel, Evidence, Probe, Stimulus
from matrix.probes.declaration import DeclaredSpan, Integration
from matrix.probes.evidence.combine import AllOf
from matrix.probes.evidence.http import StatusIs
from matrix.probes.evidence.spans import RecordTellsTrace, SpanBelow

__all__ = ["AUTOMATIC", "ERROR", "EXPLICIT", "probe_name", "probe_of"]

AUTOMATIC = "automatic"
EXPLICIT = "explicit"
ERROR = "-error"
_CONTROL = "untraced"
# The channels and the settings they run under.
_WAYS = {AUTOMATIC: "off", EXPLICIT: "explicit"}


def probe_name(slug: str) -> str:
    """Return the name of the probe of a library."""
    return f"integration-{slug}"


def probe_of(integration: Integration) -> Probe:
    """Return the experiment that answers the row."""
    channels = []
    for name, setting in _WAYS.items():
        if name == EXPLICIT and not integration.explicit:
            continue
        channels.append(_channel(name, setting, "call", _shown(integration), 200))
        if integration.error is not None:
            shown = _span(integration.error, error=True)
            channels.append(_channel(name + ERROR, setting, "fail", shown, 500))
    return Probe(
        name=probe_name(integration.slug),
        title=f"{integration.slug} is traced",
        channels=tuple(channels),
        frameworks=(integration.slug,),
        services=(integration.service,) if integration.service else (),
    )


def _channel(name: str, setting: str, what: str, shown: Evidence, status: int) -> Channel:
    stimulus = Stimulus(
        name=what,
        path=f"/{{shop}}/{what}",
        plain=status,
        evidence=AllOf(StatusIs(status), shown),
    )
    return Channel(name=name, setting=setting, control=_CONTROL, stimuli=(stimulus,))


def _shown(integration: Integration) -> Evidence:
    if not integration.spans:
        return RecordTellsTrace(integration.log)
    shown = [_span(each, error=False) for each in integration.spans]
    return shown[0] if len(shown) == 1 else AllOf(*shown)


def _span(declared: DeclaredSpan, *, error: bool) -> SpanBelow:
    return SpanBelow(
        names=declared.names,
        component=declared.component,
        resource=declared.resource,
        type=declared.type,
        tags=declared.tags,
        error=error,
        own=declared.own,
    )
