"""From the answers for its parts to the answer for a claim.

What the package index says of a claim, taken into its verdict.

=============================  ==================================  ================================
the experiments say            the index refutes                   the index only says something
=============================  ==================================  ================================
unverified                     refuted, with the index's evidence  unverified, with a remark
refuted                        refuted, with a remark              refuted, with a remark
confirmed                      confirmed, with a remark: what ran  confirmed, with a remark
                               was not what the index lists
=============================  ==================================  ================================
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from matrix.judging.fallbacks import with_nowhere
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Omission, Part, Plan, StaticEvidence
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, PartVerdict, Tightness, Verdict

__all__ = ["blocks", "judge", "roll_up", "with_static"]


def with_static(verdict: Verdict, evidence: StaticEvidence | None) -> Verdict:
    """Return the verdict with what is known without running anything, by the table above."""
    if evidence is None:
        return verdict
    said = f"The package index: {evidence.evidence}"
    if not evidence.refutes or verdict.outcome is not Outcome.UNVERIFIED:
        return dataclasses.replace(verdict, remarks=(*verdict.remarks, said))
    remarks = verdict.remarks
    if verdict.parts:
        remarks = (*remarks, f"of the experiments: {verdict.evidence}")
    return dataclasses.replace(
        verdict,
        outcome=Outcome.REFUTED,
        tightness=None,
        reason=None,
        evidence=said,
        remarks=remarks,
    )


# What cannot exist cannot break a promise, what lies between two boundaries is answered by them, a
# promise that names no CPU is answered on one; everything else that was left out could have been
# asked.
_NO_GAP = frozenset(
    {
        Reason.BETWEEN_BOUNDARIES,
        Reason.FRAMEWORK_PYTHON,
        Reason.FRAMEWORK_ERA,
        Reason.ONE_PLATFORM,
        Reason.OUTSIDE_CLAIM,
        Reason.REQUIRES_PYTHON,
    }
)
# What was not asked for says less than what was asked and stayed open.
_UNASKED = frozenset({Reason.NOT_IN_PROFILE, Reason.NOT_SELECTED})
# How many of the things that were not tested an answer names.
_NAMED = 3


def judge(
    plan: Plan, known: FindingTable, claims: Sequence[Claim] | None = None
) -> tuple[Verdict, ...]:
    """Return a verdict for every claim of the plan (or for those of `claims`), in their order."""
    wanted = plan.claims if claims is None else claims
    ids = {claim.id for claim in wanted}
    parts: dict[str, list[Part]] = defaultdict(list)
    for part in plan.parts:
        if part.claim in ids:
            parts[part.claim].append(part)
    left_out: dict[str, list[Omission]] = defaultdict(list)
    for item in plan.left_out:
        left_out[item.claim].append(item)
    static = {evidence.claim: evidence for evidence in plan.static}
    verdicts = []
    for claim in wanted:
        mine = parts[claim.id]
        judged = [judge_part(part, known) for part in mine]
        # Of a library's row, only some parts ask what lies beside the range.
        tight = [
            verdict
            for part, verdict in zip(mine, judged, strict=True)
            if not part.pick or part.before or part.above
        ]
        verdict = with_nowhere(roll_up(claim, judged, left_out[claim.id], tight), mine, known)
        verdicts.append(with_static(verdict, static.get(claim.id)))
    return tuple(verdicts)


def blocks(claim: Claim, item: Omission) -> bool:
    """Return whether what was left out keeps the claim from being confirmed.

    A missing wheel is no gap in a promise about a framework, and it is one in a promise about the
    very runtime that has no wheel.
    """
    if item.reason is Reason.NO_WHEEL:
        return claim.kind is ClaimKind.RUNTIME
    return item.reason not in _NO_GAP


def roll_up(
    claim: Claim,
    parts: Sequence[PartVerdict],
    left_out: Sequence[Omission],
    tight: Sequence[PartVerdict],
) -> Verdict:
    """Return the claim's verdict; `tight` are the parts that ask what is beside its range.

    Refuted if any part is; confirmed only if every part is and nothing was left out that could
    have been tested; else unverified with the most frequent reason (the first of equals), that
    nobody asked for the rest only if there is no other. A claim without parts is unverified.
    """
    refuted = [part for part in parts if part.outcome is Outcome.REFUTED]
    unverified = [part for part in parts if part.outcome is Outcome.UNVERIFIED]
    gaps = [item for item in left_out if blocks(claim, item)]
    remarks = [remark for part in parts for remark in part.remarks]
    tightness: Tightness | None = None
    reason: Reason | None = None
    if refuted:
        outcome = Outcome.REFUTED
        evidence = _refuted(refuted, len(parts))
    elif unverified or gaps or not parts:
        outcome = Outcome.UNVERIFIED
        reason, evidence = _unverified(unverified, gaps, left_out, len(parts))
    else:
        outcome = Outcome.CONFIRMED
        tightness = _tightness(tight)
        evidence = parts[0].evidence
        if len(parts) > 1:
            evidence = f"All {len(parts)} parts hold, such as: {evidence}"
        if tightness is None and any(part.tightness for part in tight):
            remarks.append("not every part could tell whether the release before lacks it")
    remarks += _said(item for item in left_out if item not in gaps or outcome is Outcome.REFUTED)
    return Verdict(
        claim=claim.id,
        outcome=outcome,
        tightness=tightness,
        reason=reason,
        evidence=evidence,
        cells=tuple(dict.fromkeys(cell for part in parts for cell in part.cells)),
        parts=tuple(parts),
        remarks=tuple(dict.fromkeys(remarks)),
        back_ends=tuple(dict.fromkeys(each for part in parts for each in part.back_ends)),
    )


def _refuted(refuted: Sequence[PartVerdict], count: int) -> str:
    first = refuted[0]
    named = f"[{first.probe}, {first.channel}, {first.cells[0]}] {first.evidence}"
    if count == 1:
        return named
    others = ", ".join(f"{part.probe}/{part.channel} in {part.cells[0]}" for part in refuted[1:])
    tail = f" Also: {others}." if others else ""
    return f"{len(refuted)} of {count} parts fail: {named}{tail}"


def _unverified(
    parts: Sequence[PartVerdict],
    gaps: Sequence[Omission],
    left_out: Sequence[Omission],
    count: int,
) -> tuple[Reason, str]:
    reasons = Counter(part.reason for part in parts if part.reason is not None)
    reasons.update(item.reason for item in gaps if item.reason not in _UNASKED)
    if not reasons:
        reasons.update(item.reason for item in gaps)
    if not reasons:
        # No part and nothing but what cannot exist: the first such reason is the whole answer.
        reasons.update(item.reason for item in left_out)
    if not reasons:
        return Reason.NO_PROBE, "Nothing was planned for it."
    reason = reasons.most_common(1)[0][0]
    for part in parts:
        if part.reason is reason:
            head = f"{len(parts)} of {count} parts are open: " if count > 1 else ""
            return reason, f"{head}[{part.probe}, {part.channel}] {part.evidence}"
    held = count - len(parts)
    head = f"{held} of {count} parts hold, and not tested: " if held else "Not tested: "
    return reason, f"{head}{_named([item for item in gaps or left_out if item.reason is reason])}"


def _named(items: Sequence[Omission]) -> str:
    first = items[:_NAMED]
    details = dict.fromkeys(item.detail for item in first if item.detail)
    more = f" and {len(items) - len(first)} more" if len(items) > len(first) else ""
    said = f" ({'; '.join(details)})" if details else ""
    return f"{', '.join(item.what for item in first)}{more}{said}"


def _tightness(parts: Sequence[PartVerdict]) -> Tightness | None:
    values = {part.tightness for part in parts}
    if len(values) == 1:
        return values.pop()
    if None in values or not values:
        return None
    return Tightness.MIXED if Tightness.EARLIER in values else Tightness.LATER


def _said(items: Iterable[Omission]) -> list[str]:
    counts = Counter(item.reason for item in items)
    return [f"{count} left out: {reason.value}" for reason, count in counts.items()]
