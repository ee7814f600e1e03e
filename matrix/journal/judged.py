"""From a capture to its line in a journal."""

from __future__ import annotations

from collections.abc import Mapping

from matrix.journal.entries import Entry
from matrix.journal.keys import probe_keys
from matrix.judging import cell_failure, findings_of
from matrix.model.capture import CellCapture
from matrix.model.plan import PlannedCell
from matrix.model.probe import Probe
from matrix.model.whereabouts import Whereabouts

__all__ = ["judged"]


def judged(  # noqa: PLR0913 - what was asked, what was seen, and by which rules
    capture: CellCapture,
    base: str,
    planned: PlannedCell,
    probes: Mapping[str, Probe],
    judge: str,
    *,
    transient: bool,
) -> Entry:
    """Return the entry of a planned cell's capture, judged by the rules whose key is `judge`."""
    failure = cell_failure(capture)
    return Entry(
        key=capture.key,
        base=base,
        probes=probe_keys(planned, probes),
        decisive=planned.decisive,
        soak=planned.soak,
        cell=capture.cell,
        reason=failure.reason if failure else None,
        detail=capture.detail or (failure.said if failure else ""),
        started=capture.started,
        seconds=round(capture.seconds, 3),
        transient=transient,
        judge=judge,
        findings=findings_of(capture, planned.probes, probes),
        where=Whereabouts.of(capture),
        repeats=planned.repeats,
    )
