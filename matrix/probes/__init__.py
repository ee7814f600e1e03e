"""The probes: one module each, with a declaration called `PROBE`. A new probe is a new file.

Those of integrations are made of what `apps/libraries/` declares, one file each as well.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Mapping
from types import MappingProxyType

from matrix.integrations import load_integrations, probe_of
from matrix.model.probe import Probe

__all__ = ["load_probes"]


@functools.cache
def load_probes() -> Mapping[str, Probe]:
    """Return the probes by name: those of capabilities, then those of integrations.

    Raises AttributeError for a module without `PROBE`, ValueError for a probe whose name is not
    that of its module.
    """
    probes = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        probe = importlib.import_module(f"{__name__}.{module.name}").PROBE
        if probe.name != module.name.replace("_", "-"):
            raise ValueError(f"matrix/probes/{module.name}.py declares a probe {probe.name!r}")
        probes[probe.name] = probe
    for integration in load_integrations().values():
        probe = probe_of(integration)
        probes[probe.name] = probe
    return MappingProxyType(probes)
