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
refutes: ABSENT there is exact, PRESENT is later.

A part that `holds_without` is turned around: the document says that there is nothing to be seen.
Its controls are cells that must show it; where it has none, any cell of the run may.

=================================  ==================  ============================================
minimum                            control             answer
=================================  ==================  ============================================
ABSENT                             PRESENT             confirmed
ABSENT                             none is PRESENT     unverified (control-failed): a probe that
                                                       never saw anything proves no absence
PRESENT                            any                 refuted
UNKNOWN                            any                 unverified (the minimum's reason)
=================================  ==================  ============================================

Where one release is asked whether it keeps all that is promised of it, it stands in the minimum's
place, and a control may be an earlier release: it shows what has got lost, and the answer says so.

A release that crashes or does not start at its documented minimum is never called refuted: a failed
gate tells of the install or the start, not of the capability. That a control works there is said.
"""

from __future__ import annotations

import dataclasses

from packaging.version import Version

from matrix.judging.fallbacks import UNUSABLE, release, stepped
from matrix.judging.findings import FindingTable
from matrix.model.cell import Cell
from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Observed, Outcome, PartVerdict, Tightness

__all__ = ["judge_part"]


def judge_part(part: Part, known: FindingTable) -> PartVerdict:
    """Return the answer for `part`, by the table above, with the back ends of its cells."""
    verdict = _answer(part, known)
    rests_on = [known.of(part, cell) for cell in verdict.cells]
    back_ends = dict.fromkeys(each for item in rests_on if item for each in item.back_ends)
    return dataclasses.replace(verdict, back_ends=tuple(back_ends))


def _answer(part: Part, known: FindingTable) -> PartVerdict:
    minimum = known.of(part, part.minimum)
    if minimum is None:
        return _verdict(
            part, (part.minimum,), Outcome.UNVERIFIED, "It was not run.", Reason.NOT_RUN
        )
    if minimum.shows is Observed.UNKNOWN:
        return _unknown(part, minimum, known)
    if part.holds_without:
        return _without(part, minimum, known)
    if minimum.shows is Observed.PRESENT:
        return _confirmed(part, minimum, known)
    return _absent(part, minimum, known)


def _confirmed(part: Part, minimum: Finding, known: FindingTable) -> PartVerdict:
    cells = [part.minimum]
    evidence = f"{_asked(part)}: {minimum.evidence}"
    tightness: Tightness | None = None
    before = known.of(part, part.before) if part.before else None
    if before is not None and part.before is not None:
        cells.append(part.before)
        if before.shows is Observed.ABSENT:
            tightness = Tightness.EXACT
            evidence += f" {_other(part.before, part)}, the release before, does not show it."
        elif before.shows is Observed.PRESENT:
            tightness = Tightness.EARLIER
            evidence += f" {_other(part.before, part)}, the release before, already shows it."
    above = known.of(part, part.above) if part.above else None
    if above is not None and part.above is not None:
        cells.append(part.above)
        tightness, said = _beyond(above)
        evidence += f" {_other(part.above, part)}, the first above the range, {said}."
    remarks = list(_notes(minimum))
    newest = part.controls[0] if part.controls else None
    last = known.of(part, newest) if newest and newest != part.minimum else None
    if newest is not None and last is not None:
        cells.append(newest)
        if last.shows is not Observed.PRESENT:
            remarks.append(
                f"holds at the minimum ({part.minimum}) and not in the newest release compared"
                f" ({newest}): {_why(last)}"
            )
            good = known.first_control(part)
            if good is not None:
                cells.append(good.cell)
                remarks.append(f"the newest release seen to have it is {_other(good.cell, part)}")
    return _verdict(
        part,
        tuple(cells),
        Outcome.CONFIRMED,
        evidence,
        tightness=tightness,
        remarks=tuple(remarks),
    )


def _absent(part: Part, minimum: Finding, known: FindingTable) -> PartVerdict:
    control = known.first_control(part)
    tried = _tried(part, known)
    if control is None:
        compared = "; ".join(f"{_other(item.cell, part)}: {_why(item)}" for item in tried)
        return _verdict(
            part,
            (part.minimum, *(item.cell for item in tried)),
            Outcome.UNVERIFIED,
            f"{_asked(part)}: {minimum.evidence} No release compared with shows it either"
            f" ({compared or 'none was there to compare with'}).",
            Reason.CONTROL_FAILED,
            remarks=_notes(minimum),
        )
    failed = tried[: next(n for n, item in enumerate(tried) if item is control)]
    shown = f"{_other(control.cell, part)} in the same environment"
    if _is_earlier(control.cell, part):
        shown = f"A regression: {_other(control.cell, part)}, an earlier release, shows it there"
    return _verdict(
        part,
        (part.minimum, *(item.cell for item in failed), control.cell),
        Outcome.REFUTED,
        f"{_asked(part)}: {minimum.evidence} {shown}: {control.evidence}",
        remarks=(
            *_notes(minimum),
            *(
                f"{item.cell} could not serve as the positive control: {_why(item)}"
                for item in failed
            ),
        ),
    )


def _unknown(part: Part, minimum: Finding, known: FindingTable) -> PartVerdict:
    evidence = f"{_asked(part)}: {minimum.evidence}"
    cells: tuple[str, ...] = (part.minimum,)
    control = known.first_control(part)
    if minimum.reason in {Reason.CRASHED, Reason.BROKEN_START} and control is not None:
        cells = (*cells, control.cell)
        evidence += (
            f" {_other(control.cell, part)} works in the same environment: {_asked(part)}"
            " is not usable there, which says nothing of the capability."
        )
    if minimum.reason in UNUSABLE:
        steps = stepped(part, known)
        cells = (*cells, *steps.cells)
        evidence = f"{evidence} {steps.said}".rstrip()
    return _verdict(
        part,
        cells,
        Outcome.UNVERIFIED,
        evidence,
        minimum.reason or Reason.INTERNAL_ERROR,
        remarks=_notes(minimum),
    )


def _without(part: Part, minimum: Finding, known: FindingTable) -> PartVerdict:
    evidence = f"{_asked(part)}: {minimum.evidence}"
    if minimum.shows is Observed.PRESENT:
        denied = "without being asked for" if part.control_channel else "which the page denies"
        said = f"{_asked(part)}: It shows, {denied}: {minimum.evidence}"
        return _verdict(part, (part.minimum,), Outcome.REFUTED, said, remarks=_notes(minimum))
    able = known.first_control(part) if part.controls else known.seen_anywhere(part)
    if able is None:
        return _verdict(
            part,
            (part.minimum,),
            Outcome.UNVERIFIED,
            f"{evidence} The probe saw nothing in {', '.join(part.controls) or 'any other cell'}"
            " either.",
            Reason.CONTROL_FAILED,
            remarks=_notes(minimum),
        )
    return _verdict(
        part,
        (part.minimum, able.cell),
        Outcome.CONFIRMED,
        f"{evidence} {_seen(able, part)}",
        remarks=_notes(minimum),
    )


def _seen(able: Finding, part: Part) -> str:
    if part.control_channel:
        return f"It does where it is asked for ({able.channel}, {able.cell}): {able.evidence}"
    return f"The same probe does see it in {able.cell}."


def _tried(part: Part, known: FindingTable) -> list[Finding]:
    found = (known.of(part, cell) for cell in part.controls if cell != part.minimum)
    return [item for item in found if item is not None]


def _notes(finding: Finding) -> tuple[str, ...]:
    return tuple(f"{finding.cell}: {note}" for note in finding.notes)


def _why(finding: Finding) -> str:
    if finding.reason is not None:
        return f"{finding.reason.value}, {finding.evidence}"
    return finding.evidence


def _beyond(above: Finding) -> tuple[Tightness | None, str]:
    """Return what the first release above a range says of its upper end."""
    if above.shows is Observed.PRESENT:
        return Tightness.LATER, "shows it too"
    if above.shows is Observed.ABSENT:
        return Tightness.EXACT, "does not show it"
    return None, f"cannot tell ({above.reason.value if above.reason else 'unknown'})"


def _at(cell: str) -> str:
    return f"ddtrace {Cell.parse(cell).ddtrace}"


def _asked(part: Part) -> str:
    """Return what the part is about: a release of the tracer, or of a library with one."""
    of = f"{release(part.minimum)} with " if part.pick else ""
    return f"{of}{_at(part.minimum)}"


def _other(cell: str, part: Part) -> str:
    """Return another cell by what differs from the part's own."""
    if part.pick and Cell.parse(cell).ddtrace == Cell.parse(part.minimum).ddtrace:
        return release(cell)
    return _at(cell)


def _is_earlier(cell: str, part: Part) -> bool:
    """Return whether a cell is of an earlier release of the tracer than the part's own."""
    theirs, own = (Version(Cell.parse(each).ddtrace) for each in (cell, part.minimum))
    return theirs < own


def _verdict(  # noqa: PLR0913 - the fields of one answer
    part: Part,
    cells: tuple[str, ...],
    outcome: Outcome,
    evidence: str,
    reason: Reason | None = None,
    *,
    tightness: Tightness | None = None,
    remarks: tuple[str, ...] = (),
) -> PartVerdict:
    return PartVerdict(
        probe=part.probe,
        channel=part.channel,
        cells=tuple(dict.fromkeys(cells)),
        outcome=outcome,
        tightness=tightness,
        reason=reason,
        evidence=f"{evidence} ({part.said})" if part.said else evidence,
        remarks=(part.said, *remarks) if part.said else remarks,
    )
