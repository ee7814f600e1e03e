"""What a cell's environment is asked to hold."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from matrix.environments import requirements_for
from matrix.model.environment import Requirements
from matrix.model.index import Release
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe

__all__ = ["requirements_of"]


def requirements_of(
    planned: PlannedCell, probes: Mapping[str, Probe], candidate: Release | None = None
) -> Requirements:
    """Return the requirements of a cell, those of its probes included.

    Where it is a cell of `candidate`, a release of the tracer, its files are the only ones.
    """
    extra = {
        requirement
        for name in planned.probes
        if name in probes
        for requirement in probes[name].requirements
    }
    found = requirements_for(planned, sorted(extra))
    if candidate is None or candidate.version != planned.cell.ddtrace:
        return found
    wheels = tuple(file for file in candidate.files if file.tags)
    return dataclasses.replace(found, given=wheels)
