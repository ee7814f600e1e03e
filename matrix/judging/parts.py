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

A release that crashes or does not start at its documented minimum is never called refuted: a failed
gate tells of the install or the start, not of the capability. That a control works there is said.
"""

from __future__ import annotations

import dataclasses

from matrix.judging.table import FindingTable
from matrix.model.cell import Cell
from matrix.model.plan import Part
from matrix.model.reason import Reason
from matrix.model.verdict import Finding, Outcome, PartVerdict, Shows, Tightness

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
    if minimum.shows is Shows.UNKNOWN:
        return _unknown(part, minimum, known)
    if part.holds_without:
        return _without(part, minimum, known)
    if minimum.shows is Shows.PRESENT:
        return _confirmed(part, minimum, known)
    return _absent(part, minimum, known)


def _confirmed(part: Part, minimum: Finding, known: FindingTable) -> PartVerdict:
    cells = [part.minimum]
    evidence = f"{_at(minimum.cell)}: {minimum.evidence}"
    tightness = None
    before = known.of(part, part.before) if part.before else None
    if before is not None and part.before is not None:
        cells.append(part.before)
        if before.shows is Shows.ABSENT:
            tightness = Tightness.EXACT
            evidence += f" {_at(part.before)}, the release before, does not show it."
        elif before.shows is Shows.PRESENT:
            tightness = Tightness.EARLIER
            evidence += f" {_at(part.before)}, the release before, already shows it."
    remarks = list(_notes(minimum))
    newest = part.controls[0] if part.controls else None
    last = known.of(part, newest) if newest and newest != part.minimum else None
    if newest is not None and last is not None:
        cells.append(newest)
        if last.shows is not Shows.PRESENT:
            remarks.append(
                f"holds at the minimum ({part.minimum}) and not in the newest release compared"
                f" ({newest}): {_why(last)}"
            )
            good = known.first_control(part)
            if good is not None:
                cells.append(good.cell)
                remarks.append(f"the newest release seen to have it is {_at(good.cell)}")
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
        compared = "; ".join(f"{_at(item.cell)}: {_why(item)}" for item in tried)
        return _verdict(
            part,
            (part.minimum, *(item.cell for item in tried)),
            Outcome.UNVERIFIED,
            f"{_at(minimum.cell)}: {minimum.evidence} No release compared with shows it either"
            f" ({compared or 'none was there to compare with'}).",
            Reason.CONTROL_FAILED,
            remarks=_notes(minimum),
        )
    failed = tried[: next(n for n, item in enumerate(tried) if item is control)]
    return _verdict(
        part,
        (part.minimum, *(item.cell for item in failed), control.cell),
        Outcome.REFUTED,
        f"{_at(minimum.cell)}: {minimum.evidence} {_at(control.cell)} in the same environment:"
        f" {control.evidence}",
        remarks=(
            *_notes(minimum),
            *(
                f"{item.cell} could not serve as the positive control: {_why(item)}"
                for item in failed
            ),
        ),
    )


def _unknown(part: Part, minimum: Finding, known: FindingTable) -> PartVerdict:
    evidence = f"{_at(minimum.cell)}: {minimum.evidence}"
    cells: tuple[str, ...] = (part.minimum,)
    control = known.first_control(part)
    if minimum.reason in {Reason.CRASHED, Reason.BROKEN_START} and control is not None:
        cells = (*cells, control.cell)
        evidence += (
            f" {_at(control.cell)} works in the same environment: the documented minimum is not"
            " usable there, which says nothing of the capability."
        )
    return _verdict(
        part,
        cells,
        Outcome.UNVERIFIED,
        evidence,
        minimum.reason or Reason.INTERNAL_ERROR,
        remarks=_notes(minimum),
    )


def _without(part: Part, minimum: Finding, known: FindingTable) -> PartVerdict:
    evidence = f"{_at(minimum.cell)}: {minimum.evidence}"
    if minimum.shows is Shows.PRESENT:
        return _verdict(part, (part.minimum,), Outcome.REFUTED, evidence, remarks=_notes(minimum))
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


def _at(cell: str) -> str:
    return f"ddtrace {Cell.parse(cell).ddtrace}"


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
        evidence=evidence,
        remarks=remarks,
    )
