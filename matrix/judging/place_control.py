"""The control of a place: without what makes the place, the app must show something else.

A cell in a place runs its features once more outside of it (see `matrix.probes.places.Outside`).
Where the same is seen outside, the place had no part in the answer. A place that an app cannot
leave without losing its agent must be silent outside; one that it can leave shows there what is
absent in the place, or other spans.

==============  ======================  =============================================
in the place    outside                 finding
==============  ======================  =============================================
PRESENT         nothing arrives, or     PRESENT, with what differs
                other spans
PRESENT         the same                unknown (no-part-of-place)
PRESENT         failed, or not run      unknown (no-control)
ABSENT, and the any                     unknown (needs-extension)
vendor's
extension is
to detect it
==============  ======================  =============================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from matrix.judging.gate import DecodedProcess, Failure, start_failure, unknown
from matrix.model.cell import Cell
from matrix.model.fact import FactKind, fact
from matrix.model.probe import Channel
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed
from matrix.probes.places import Place, find_place
from matrix.pypi.releases import specifier_allows


def judge_in_place(
    finding: Finding,
    outside: Finding,
    channel: Channel,
    processes: Sequence[DecodedProcess],
    without: Sequence[DecodedProcess],
) -> Finding:
    """Return the finding on a channel after the control of its cell's place.

    `outside` is what the channel showed outside, `processes` ran in the place and `without` outside
    of it.
    """
    place = find_place(finding.cell.place)
    if finding.shows is Observed.ABSENT and _extension_detects(place, finding):
        return unknown(finding, Failure(Reason.NEEDS_EXTENSION, finding.facts))
    if finding.shows is not Observed.PRESENT:
        return finding
    # What an app has lost outside of a place that it can leave may be its tracer itself.
    alive = [
        item
        for item in without
        if item.process.setting == channel.setting
        and (start_failure(item) is None or (place.is_left and item.liveness.untraced))
    ]
    if not alive:
        failed = fact(FactKind.OUTSIDE_FAILED, facts=outside.facts)
        return unknown(finding, Failure(Reason.NO_CONTROL, (failed,)))
    own = _span_names(finding, channel, processes) - _span_names(finding, channel, alive)
    if outside.shows is Observed.PRESENT and not own:
        same = fact(FactKind.SAME_OUTSIDE, facts=outside.facts)
        return unknown(finding, Failure(Reason.NO_PART_OF_PLACE, (same,)))
    arrived = sum(len(item.process.agent) for item in alive)
    if arrived and not place.is_left:
        arrives = fact(FactKind.ARRIVES_OUTSIDE, count=arrived)
        return unknown(finding, Failure(Reason.NO_PART_OF_PLACE, (arrives,)))
    control = fact(FactKind.SILENT_OUTSIDE)
    if place.is_left:
        control = fact(FactKind.OTHER_OUTSIDE, spans=tuple(sorted(own)))
    return dataclasses.replace(finding, facts=(*finding.facts, control))


def _span_names(
    finding: Finding, channel: Channel, processes: Sequence[DecodedProcess]
) -> frozenset[str]:
    """Return the names of the spans of the channel's requests in those processes."""
    return frozenset(
        span.name
        for item in processes
        if item.process.setting == channel.setting
        for observation in item.of(finding.probe, channel.name, control=False)
        for span in observation.spans
    )


def _extension_detects(place: Place, finding: Finding) -> bool:
    releases = place.extension_detects.get(finding.probe)
    return releases is not None and specifier_allows(releases, finding.cell.ddtrace)


def is_denial_decided(cell: Cell, probe: str) -> bool:
    """Return whether what shows in the cell's place refutes that it is not supported there.

    It does not where the vendor's extension, which is not there, would have to pass it on.
    """
    return not cell.place or probe not in find_place(cell.place).extension_forwards
