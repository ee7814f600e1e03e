"""The rows of integration tables as experiments: one small module each, in `apps/libraries/`.

A module's literals are read here, never imported: what it imports is in the cells only. From them
come the probe, what a cell's environment holds, and which CPythons a release runs on.
"""

from matrix.integrations.declaration import Declared, Integration, NotDeclared, parse
from matrix.integrations.known import (
    LIBRARIES,
    LIBRARY,
    distribution_of,
    integration_of,
    load_integrations,
    module_of,
)
from matrix.integrations.probing import AUTOMATIC, ERROR, EXPLICIT, probe_name, probe_of

__all__ = [
    "AUTOMATIC",
    "ERROR",
    "EXPLICIT",
    "LIBRARIES",
    "LIBRARY",
    "Declared",
    "Integration",
    "NotDeclared",
    "distribution_of",
    "integration_of",
    "load_integrations",
    "module_of",
    "parse",
    "probe_name",
    "probe_of",
]
