"""The registry of all probes: those of `capabilities/`, and one for each integration.

The probes of integrations are built from the declarations of `apps/libraries/`. The channel
`automatic` runs the library under the tracer's own start without any call in the code: a row with
"automatic: yes" promises that it is traced, one with "no" that it is not. The channel `explicit`
adds the call that the tracer's documentation names. The control of both has tracing disabled. Where
the module has a call that fails, its answer too must be that of the app without the tracer; whether
its span has the error is tested by `automatic-error` and `explicit-error`, for the pages that
promise it. In the same way `-query` tests whether the span of a data store tells the query, and
`-timing` whether it covers the time of the call.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from types import MappingProxyType

from matrix.model.probe import NO_EVIDENCE, AllOf, Channel, Compared, Evidence, Probe, Stimulus
from matrix.probes import capabilities
from matrix.probes.declarations import Integration
from matrix.probes.evidence.http import StatusIs
from matrix.probes.evidence.spans import RecordTellsTrace, SpanBelow
from matrix.probes.integrations import PROBE_PREFIX, load_integrations
from matrix.system.source_files import plugins

AUTOMATIC = "automatic"
EXPLICIT = "explicit"
ERROR = "-error"
QUERY = "-query"
TIMING = "-timing"
# A call that waits does so for 0.1 s; some servers round down.
_WAITED = 0.09
_CONTROL = "untraced"
_SETTINGS = {AUTOMATIC: "off", EXPLICIT: "explicit"}
_FAIL = Stimulus("fail", NO_EVIDENCE, "/{shop}/fail", plain=500, compared=Compared.ANSWER)


@functools.cache
def load_probes() -> Mapping[str, Probe]:
    """Return the probes by name: those of capabilities, then those of integrations.

    Raises AttributeError for a module without `PROBE`, ValueError for a probe whose name is not
    that of its module.
    """
    probes = {}
    for name, probe in plugins(capabilities, "PROBE"):
        if probe.name != name.replace("_", "-"):
            raise ValueError(f"matrix/probes/capabilities/{name}.py defines a probe {probe.name!r}")
        probes[probe.name] = probe
    for integration in load_integrations().values():
        probe = build_probe(integration)
        probes[probe.name] = probe
    return MappingProxyType(probes)


def probe_name(slug: str) -> str:
    """Return the name of the probe of a library."""
    return f"{PROBE_PREFIX}{slug}"


def build_probe(integration: Integration) -> Probe:
    """Build the probe of a row of an integration table."""
    calls = [_call(integration)]
    if integration.fails:
        calls.append(dataclasses.replace(_FAIL, decisive=False))
    channels = []
    for name, default in _SETTINGS.items():
        if name == EXPLICIT and not integration.explicit:
            continue
        prefix = "" if name == AUTOMATIC else f"{default}-"
        setting = prefix + integration.setting if integration.setting else default
        channels.append(Channel(name, setting, tuple(calls), _CONTROL))
        if integration.error is not None:
            evidence = AllOf(StatusIs(500), SpanBelow(**vars(integration.error), error=True))
            failing = dataclasses.replace(_FAIL, evidence=evidence)
            channels.append(Channel(name + ERROR, setting, (failing,), _CONTROL))
        if integration.query is not None:
            query = (_query_call(integration),)
            channels.append(Channel(name + QUERY, setting, query, _CONTROL))
            timed = (_timed_call(integration),)
            channels.append(Channel(name + TIMING, setting, timed, _CONTROL))
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


def _query_call(integration: Integration) -> Stimulus:
    """Return the call whose span must tell the query as the tracer's documentation says."""
    assert integration.query is not None  # noqa: S101 - callers have checked it
    query, span = integration.query, integration.spans[0]
    declared = dataclasses.replace(
        span, resource=query.resource or span.resource, tags=(*span.tags, *query.tags)
    )
    evidence = SpanBelow(**vars(declared), without=query.without)
    return dataclasses.replace(_call(integration), evidence=AllOf(StatusIs(200), evidence))


def _timed_call(integration: Integration) -> Stimulus:
    """Return the call whose span must have its time: one that waits where there is one."""
    call, span = _call(integration), integration.spans[0]
    timed = SpanBelow(**vars(span), timed=True)
    if integration.waits:
        timed = SpanBelow(span.names, span.component, timed=True, at_least=_WAITED)
        call = dataclasses.replace(call, name="wait", path="/{shop}/wait")
    return dataclasses.replace(call, evidence=AllOf(StatusIs(200), timed))


def _call_evidence(integration: Integration) -> Evidence:
    if not integration.spans:
        return RecordTellsTrace(integration.log)
    spans = [SpanBelow(**vars(span)) for span in integration.spans]
    return spans[0] if len(spans) == 1 else AllOf(*spans)
