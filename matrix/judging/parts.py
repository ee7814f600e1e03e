"""The answer for one part of a claim.

The decision table. *Minimum*, *before* and *control* are what one channel of a probe showed in the
cell at the documented minimum, at the release before it, and at the first release, in the order to
try them, that shows the capability in the same environment. PRESENT means that the evidence was
there with the feature on and was not there with it off.

=================================  ==================  ============================================
minimum                            control             answer
=================================  ==================  ============================================
PRESENT                            any                 confirmed; a remark where the newest fails
ABSENT                             PRESENT             refuted
ABSENT                             none is PRESENT     unverified (control-failed)
UNKNOWN, more processes die        counted             refuted (crashes) where fewer die there,
than with the feature off                              too; else unverified (unstable)
UNKNOWN (also crashed, no start)   any                 unverified (the minimum's reason)
not run                            any                 unverified (not-run)
=================================  ==================  ============================================

=================================  ================================================================
before (with minimum PRESENT)      tightness
=================================  ================================================================
ABSENT                             exact
PRESENT                            earlier
UNKNOWN, or there is none          cannot be told
=================================  ================================================================

The first release *above* a range of a library that has an upper end is asked too, and never
refutes: ABSENT there is exact, PRESENT is later. The tracer's majors after those of the page are
asked likewise, for a remark.

Where the package index is known to list no wheel of the minimum for its target with a library that
the probe needs, no release on the same target is needed as a control, and none but the first is
run: *beside* is what the same release showed on another target, where it ran.

=================================  ==================  ============================================
minimum, and no control PRESENT    beside              answer
=================================  ==================  ============================================
ABSENT, each wheel lacks it        PRESENT             refuted, with the wheels by name and hash
ABSENT, each wheel lacks it        none is PRESENT     as without: the further controls are run
ABSENT, nothing known of a wheel   any                 as without
=================================  ==================  ============================================

In a place (a deployment type, or what stands in for one) the same cell in an ordinary container is
the control: what it lacks, too, is not the place's doing.

=================================  ==================  ============================================
minimum, in its place              ordinary container  answer
=================================  ==================  ============================================
ABSENT, or breaks the app          PRESENT             refuted
ABSENT, or breaks the app          ABSENT              unverified (no-part-of-place)
ABSENT, or breaks the app          UNKNOWN, or none    unverified (no-control)
=================================  ==================  ============================================

A part that `expects_absent` is turned around: the document says that there is nothing to be seen.
Its controls are cells that must show it; where it has none, any cell of the run may.

=================================  ==================  ============================================
minimum                            control             answer
=================================  ==================  ============================================
ABSENT                             PRESENT             confirmed
ABSENT                             none is PRESENT     unverified (control-failed): a probe that
                                                       never saw anything proves no absence
PRESENT                            any                 refuted; unverified (needs-extension) where
                                                       it goes no further without an extension
UNKNOWN                            any                 unverified (the minimum's reason)
=================================  ==================  ============================================

Where one release is asked whether it keeps all that is promised of it, it stands in the minimum's
place, and a control may be an earlier release: it shows what has got lost, and the answer says so.

A release that crashes or does not start at its documented minimum is refuted where the app works
without the tracer and fails under it in every process: ABSENT with the reason breaks-app, whose
positive control is the bare app (see `matrix.judging.bare_control`). It breaks a denial of a
capability as little as it keeps one: that stays unverified. Otherwise a failed gate tells of the
install or the start, not of the capability, and a control that works there is named.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator

from matrix.judging.crashes import CrashCount, suspicious_count
from matrix.judging.fallbacks import UNUSABLE, fallback_facts
from matrix.judging.findings import FindingTable
from matrix.judging.place_control import is_denial_decided
from matrix.model.cell import Cell
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict, Tightness

_TIGHTNESS_BEFORE = {Observed.ABSENT: Tightness.EXACT, Observed.PRESENT: Tightness.EARLIER}
_TIGHTNESS_ABOVE = {Observed.ABSENT: Tightness.EXACT, Observed.PRESENT: Tightness.LATER}


def judge_part(part: Part, findings: FindingTable) -> PartVerdict:
    """Return the verdict on `part`, by the table above, with the back ends of its cells."""
    verdict = _judge(part, findings)
    used = [findings.get(part, cell) for cell in verdict.cells]
    backends = dict.fromkeys(each for finding in used if finding for each in finding.backends)
    remarks = (*verdict.remarks, *_beyond(part, findings))
    return dataclasses.replace(verdict, backends=tuple(backends), remarks=remarks)


def _beyond(part: Part, findings: FindingTable) -> Iterator[Fact]:
    """Yield what the tracer's later majors, which are not promised, showed."""
    found = [(cell.ddtrace, findings.get(part, cell)) for cell in part.beyond]
    present, absent, unknown = (
        tuple(release for release, item in found if item and item.shows is shows)
        for shows in (Observed.PRESENT, Observed.ABSENT, Observed.UNKNOWN)
    )
    if present or absent or unknown:
        yield fact(
            FactKind.BEYOND_PROMISE, part.minimum, present=present, absent=absent, unknown=unknown
        )


def _judge(part: Part, findings: FindingTable) -> PartVerdict:
    minimum = findings.get(part, part.minimum)
    if minimum is None:
        not_run = (fact(FactKind.NOT_RUN),)
        return _verdict(part, [part.minimum], Outcome.UNVERIFIED, not_run, Reason.NOT_RUN)
    if minimum.shows is Observed.UNKNOWN:
        here = suspicious_count(minimum) if minimum.reason is Reason.UNSTABLE else None
        counted = _crashes(part, minimum, here, findings) if here else None
        return counted or _unknown(part, minimum, findings)
    return _decide(part, minimum)(part, minimum, findings)


def _decide(part: Part, minimum: Finding) -> Callable[[Part, Finding, FindingTable], PartVerdict]:
    """Return what judges a part whose minimum showed its channel, or did not."""
    if part.minimum.place and minimum.shows is Observed.ABSENT and not part.expects_absent:
        return _absent_in_place
    if minimum.reason is Reason.BREAKS_APP:
        return _breaks_app
    if part.expects_absent:
        return _expected_absent
    return _present if minimum.shows is Observed.PRESENT else _absent


def _present(part: Part, minimum: Finding, findings: FindingTable) -> PartVerdict:
    cells = [part.minimum]
    facts = [_release(part, minimum)]
    tightness: Tightness | None = None
    before = findings.get(part, part.before) if part.before else None
    if before is not None:
        cells.append(before.cell)
        tightness = _TIGHTNESS_BEFORE.get(before.shows)
        if tightness:
            facts.append(_neighbour(FactKind.RELEASE_BEFORE, part, before))
    above = findings.get(part, part.above) if part.above else None
    if above is not None:
        cells.append(above.cell)
        tightness = _TIGHTNESS_ABOVE.get(above.shows)
        facts.append(_neighbour(FactKind.RELEASE_ABOVE, part, above))
    remarks = [*_notes(minimum)]
    if before is not None:
        undocumented = (n for n in before.notes if n.kind is FactKind.SHOWS_UNDOCUMENTED)
        remarks += [fact(FactKind.NOTE, before.cell, facts=[note]) for note in undocumented]
    newest = part.controls[0] if part.controls else None
    last = findings.get(part, newest) if newest and newest != part.minimum else None
    if last is not None:
        cells.append(last.cell)
        if last.shows is not Observed.PRESENT and not part.is_compared_back:
            remarks.append(_because(FactKind.NEWEST_LACKS, last, minimum=part.minimum.id))
            control = findings.first_control(part)
            if control is not None:
                cells.append(control.cell)
                by = _differs_by(control.cell, part)
                remarks.append(fact(FactKind.NEWEST_WITH, control.cell, by=by))
    return _verdict(
        part, cells, Outcome.CONFIRMED, tuple(facts), tightness=tightness, remarks=remarks
    )


def _breaks_app(part: Part, minimum: Finding, findings: FindingTable) -> PartVerdict:
    denied = part.expects_absent and not part.pick
    facts, cells = [_release(part, minimum)], [part.minimum]
    control = findings.first_control(part)
    if control is not None:
        cells.append(control.cell)
        by = _differs_by(control.cell, part)
        facts.append(fact(FactKind.OTHER_WORKS, control.cell, by=by))
    outcome = Outcome.UNVERIFIED if denied else Outcome.REFUTED
    return _verdict(part, cells, outcome, tuple(facts), Reason.BREAKS_APP, remarks=_notes(minimum))


def _crashes(part: Part, minimum: Finding, here: CrashCount, findings: FindingTable) -> PartVerdict:
    """Return the verdict where more processes die with the feature than without it."""
    facts, cells, refuted = list(minimum.facts), [part.minimum], False
    for cell in part.controls:
        there = findings.died_there(part, cell, here.subject) if cell != part.minimum else None
        if there is None or not there.count:
            continue
        cells.append(cell)
        by = _differs_by(cell, part)
        other = fact(FactKind.CRASHES_THERE, cell, by=by, died=there.died, count=there.count)
        facts[facts.index(here.fact)] = dataclasses.replace(here.fact, facts=(other,))
        refuted = here.on.exceeds(there) and not (part.expects_absent and not part.pick)
        break
    release = fact(FactKind.RELEASE, part.minimum, by=_own(part), facts=facts)
    outcome = Outcome.REFUTED if refuted else Outcome.UNVERIFIED
    reason = Reason.CRASHES if refuted else Reason.UNSTABLE
    return _verdict(part, cells, outcome, (release,), reason, remarks=_notes(minimum))


def _absent(part: Part, minimum: Finding, findings: FindingTable) -> PartVerdict:
    control = findings.first_control(part)
    known = (findings.get(part, cell) for cell in part.controls if cell != part.minimum)
    compared = [finding for finding in known if finding is not None]
    beside = findings.control_beside(part)
    if control is None and beside is not None:
        return _absent_here(part, minimum, beside)
    if control is None:
        others = [
            _because(FactKind.COMPARED, item, by=_differs_by(item.cell, part)) for item in compared
        ]
        return _verdict(
            part,
            [part.minimum, *(item.cell for item in compared)],
            Outcome.UNVERIFIED,
            (_release(part, minimum), fact(FactKind.NO_CONTROL_SHOWS, facts=others)),
            Reason.CONTROL_FAILED,
            remarks=_notes(minimum),
        )
    failed = list(itertools.takewhile(lambda item: item is not control, compared))
    earlier = control.cell.is_earlier(part.minimum)
    shown = fact(
        FactKind.EARLIER_SHOWS if earlier else FactKind.CONTROL_SHOWS,
        control.cell,
        by=_differs_by(control.cell, part),
        facts=control.facts,
    )
    return _verdict(
        part,
        [part.minimum, *(item.cell for item in failed), control.cell],
        Outcome.REFUTED,
        (_release(part, minimum), shown),
        remarks=[*_notes(minimum), *(_because(FactKind.CONTROL_UNUSABLE, item) for item in failed)],
    )


def _absent_in_place(part: Part, minimum: Finding, findings: FindingTable) -> PartVerdict:
    """Return the verdict on what is missing in a place: refuted where it shows outside of it."""
    facts, cells = [_release(part, minimum)], [part.minimum]
    outcome = Outcome.UNVERIFIED
    reason: Reason | None = Reason.NO_CONTROL
    known = (findings.get(part, cell) for cell in part.beside)
    outside = next((finding for finding in known if finding is not None), None)
    if outside is not None:
        cells.append(outside.cell)
        shows = outside.shows is Observed.PRESENT
        kind = FactKind.SHOWS_OUTSIDE if shows else FactKind.LACKS_OUTSIDE
        facts.append(fact(kind, outside.cell, facts=outside.facts))
        if outside.shows is not Observed.UNKNOWN:
            reason = Reason.NO_PART_OF_PLACE
        if shows:
            outcome, reason = Outcome.REFUTED, minimum.reason
    return _verdict(part, cells, outcome, tuple(facts), reason, remarks=_notes(minimum))


def _absent_here(part: Part, minimum: Finding, beside: Finding) -> PartVerdict:
    """Return the verdict where the wheels for this target lack what those for another have."""
    lacking = [
        fact(
            FactKind.LIBRARY_MISSING,
            part.minimum,
            wheel=wheel.filename,
            sha256=wheel.sha256,
            library=wheel.library,
            machine=wheel.machine,
        )
        for wheel in part.lacking
    ]
    shown = fact(FactKind.SHOWS_BESIDE, beside.cell, facts=beside.facts)
    return _verdict(
        part,
        [part.minimum, beside.cell],
        Outcome.REFUTED,
        (_release(part, minimum), *lacking, shown),
        remarks=_notes(minimum),
    )


def _unknown(part: Part, minimum: Finding, findings: FindingTable) -> PartVerdict:
    facts = [_release(part, minimum)]
    cells = [part.minimum]
    control = findings.first_control(part)
    if minimum.reason in {Reason.CRASHED, Reason.BROKEN_START} and control is not None:
        cells.append(control.cell)
        own = fact(FactKind.RELEASE, part.minimum, by=_own(part))
        by = _differs_by(control.cell, part)
        facts.append(fact(FactKind.CONTROL_WORKS, control.cell, by=by, facts=[own]))
    if minimum.reason in UNUSABLE:
        fallbacks = fallback_facts(part, findings)
        cells += fallbacks.cells
        facts += fallbacks.facts
    reason = minimum.reason or Reason.INTERNAL_ERROR
    return _verdict(part, cells, Outcome.UNVERIFIED, tuple(facts), reason, remarks=_notes(minimum))


def _expected_absent(part: Part, minimum: Finding, findings: FindingTable) -> PartVerdict:
    remarks = _notes(minimum)
    if minimum.shows is Observed.PRESENT:
        denied = fact(
            FactKind.SHOWS_THOUGH_DENIED,
            part.minimum,
            channel="" if part.minimum.place else part.control_channel,
            facts=minimum.facts,
        )
        release = fact(FactKind.RELEASE, part.minimum, by=_own(part), facts=[denied])
        decided = is_denial_decided(part.minimum, part.probe)
        outcome = Outcome.REFUTED if decided else Outcome.UNVERIFIED
        reason = None if decided else Reason.NEEDS_EXTENSION
        return _verdict(part, [part.minimum], outcome, (release,), reason, remarks=remarks)
    controls = part.controls
    able = findings.first_control(part) if controls else findings.seen_anywhere(part)
    if able is None:
        nowhere = fact(FactKind.SEEN_NOWHERE, cells=tuple(cell.id for cell in controls))
        return _verdict(
            part,
            [part.minimum],
            Outcome.UNVERIFIED,
            (_release(part, minimum), nowhere),
            Reason.CONTROL_FAILED,
            remarks=remarks,
        )
    shown = fact(FactKind.SEEN_IN, able.cell)
    if part.minimum.place:
        shown = fact(FactKind.SEEN_OUTSIDE, able.cell, facts=able.facts)
    elif part.control_channel:
        shown = fact(FactKind.SEEN_WHEN_ENABLED, able.cell, channel=able.channel, facts=able.facts)
    return _verdict(
        part,
        [part.minimum, able.cell],
        Outcome.CONFIRMED,
        (_release(part, minimum), shown),
        remarks=remarks,
    )


def _release(part: Part, minimum: Finding) -> Fact:
    return fact(FactKind.RELEASE, part.minimum, by=_own(part), facts=minimum.facts)


def _neighbour(kind: FactKind, part: Part, finding: Finding) -> Fact:
    return fact(
        kind,
        finding.cell,
        by=_differs_by(finding.cell, part),
        shows=finding.shows.value,
        reason=finding.reason.value if finding.reason else "",
    )


def _because(kind: FactKind, finding: Finding, **values: str) -> Fact:
    reason = finding.reason.value if finding.reason else ""
    return fact(kind, finding.cell, reason=reason, facts=finding.facts, **values)


def _notes(finding: Finding) -> list[Fact]:
    return [fact(FactKind.NOTE, finding.cell, facts=[note]) for note in finding.notes]


def _own(part: Part) -> str:
    """Return by what the part's own release is named: the tracer's, or a library's with it."""
    return "both" if part.pick else "tracer"


def _differs_by(cell: Cell, part: Part) -> str:
    """Return by what another cell differs from the part's own."""
    return "library" if part.pick and cell.ddtrace == part.minimum.ddtrace else "tracer"


def _verdict(  # noqa: PLR0913 - the fields of a verdict
    part: Part,
    cells: list[Cell],
    outcome: Outcome,
    facts: tuple[Fact, ...],
    reason: Reason | None = None,
    *,
    tightness: Tightness | None = None,
    remarks: list[Fact] | None = None,
) -> PartVerdict:
    choice = [fact(FactKind.CHOICE, text=part.choice)] if part.choice else []
    return PartVerdict(
        probe=part.probe,
        channel=part.channel,
        cells=tuple(dict.fromkeys(cells)),
        outcome=outcome,
        tightness=tightness,
        reason=reason,
        facts=(*facts, *choice),
        remarks=(*choice, *(remarks or [])),
    )
