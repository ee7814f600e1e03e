"""What a cell's environment is asked to hold."""

from __future__ import annotations

from collections.abc import Mapping

from matrix.environments import requirements_for
from matrix.model.environment import Requirements
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe

__all__ = ["requirements_of"]


def requirements_of(planned: PlannedCell, probes: Mapping[str, Probe]) -> Requirements:
    """Return the requirements of a cell, those of its probes included."""
    extra = {
        requirement
        for name in planned.probes
        if name in probes
        for requirement in probes[name].requirements
    }
    return requirements_for(planned, sorted(extra))
