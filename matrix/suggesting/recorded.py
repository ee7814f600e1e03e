"""Everything that was ever captured, judged by today's rules: also cells that no plan asks for.

A search for a least release leaves its cells here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matrix.journal import CaptureStore, Journal
from matrix.judging import findings_of
from matrix.model.capture import CellCapture
from matrix.model.probe import Probe
from matrix.model.reason import Reason
from matrix.model.verdict import Finding

__all__ = ["recorded_findings"]


def recorded_findings(
    journal: Journal,
    captures: CaptureStore,
    probes: Mapping[str, Probe],
    counts: Callable[[CellCapture], bool] = lambda _capture: True,
) -> tuple[Finding, ...]:
    """Return what the captures that count show, the newest of each cell, probe and channel.

    One that tells of its moment only, such as a lack of memory, hides none that lasts.
    """
    found: dict[tuple[str, str, str], Finding] = {}
    entries = journal.read().entries.values()
    for entry in sorted(entries, key=lambda entry: not entry.transient):
        capture = captures.read(entry.cell, entry.key)
        if capture is None or not counts(capture):
            continue
        for finding in findings_of(capture, entry.probes, probes):
            if finding.reason is not Reason.NOT_RUN:
                found[finding.cell, finding.probe, finding.channel] = finding
    return tuple(found.values())
