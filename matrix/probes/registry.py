"""The registry of all probes: those of `capabilities/`, and one for each integration."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

from matrix.model.probe import Probe
from matrix.probes import capabilities
from matrix.probes.integration_probes import build_probe
from matrix.probes.integrations import load_integrations
from matrix.system.plugins import plugins


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
