"""A cell that a run has results of, whatever documents it was planned for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from matrix.model.cell import Cell
from matrix.model.plan import PlannedCell
from matrix.planning.cell_set import dependency_date
from matrix.probes.integrations import distribution_name
from matrix.pypi.client import Index
from matrix.pypi.releases import Release, Releases
from matrix.runs.journal import Entry

_TRACER = "ddtrace"


def earlier_cell(cell: Cell, entries: Iterable[Entry], index: Index) -> PlannedCell | None:
    """Return the cell as its newest result has it, None without one.

    The index is asked for the dates of the releases where the id has no date; raises
    `IndexUnavailableError`.
    """
    own = [entry for entry in entries if entry.cell == cell.id]
    if not own:
        return None
    newest = max(own, key=lambda entry: entry.started)
    as_of = cell.as_of or _date(cell, index)
    if as_of is None:
        return None
    return PlannedCell(cell, as_of, tuple(newest.probes), newest.decisive, newest.soak)


def _date(cell: Cell, index: Index) -> dt.date | None:
    tracer = _release(index, _TRACER, cell.ddtrace)
    name = distribution_name(cell.framework, cell.framework_version)
    library = _release(index, name, cell.framework_version) if name else tracer
    return dependency_date(tracer, library) if tracer and library else None


def _release(index: Index, name: str, version: str) -> Release | None:
    releases = Releases(index.project(name), None, "").all
    return next((release for release in releases if release.text == version), None)
