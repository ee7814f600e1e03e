"""From the verdicts on its parts to the verdict on a claim.

Evidence of the package index is taken in last:

=============================  ==================================  ================================
the experiments say            the index refutes                   the index only adds a remark
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
from collections.abc import Sequence

from matrix.judging.fallbacks import with_unusable_minimum, without_ruled_out
from matrix.judging.findings import FindingTable
from matrix.judging.parts import judge_part
from matrix.judging.ranges import with_ranges
from matrix.model.claim import Claim, ClaimKind
from matrix.model.fact import Fact, FactKind, fact
from matrix.model.plan import Omission, Part, Plan, StaticEvidence
from matrix.model.reason import Reason
from matrix.model.verdict import Outcome, PartVerdict, Tightness, Verdict

# What cannot exist cannot break a promise, what lies between two boundaries is answered by them, a
# promise that names no CPU is answered on one; everything else that was omitted could have been
# tested.
_NO_GAP = frozenset(
    {
        Reason.BETWEEN_BOUNDARIES,
        Reason.DOES_NOT_IMPORT,
        Reason.FRAMEWORK_PYTHON,
        Reason.FRAMEWORK_ERA,
        Reason.ONE_PLATFORM,
        Reason.OUTSIDE_CLAIM,
        Reason.REQUIRES_PYTHON,
    }
)
# Not requested says less than requested and open.
_NOT_REQUESTED = frozenset({Reason.NOT_IN_PROFILE, Reason.NOT_SELECTED})
# Facts about releases, which are equal for many cells.
_OF_RELEASES = frozenset({FactKind.HOLDS_IN, FactKind.NEWEST_WITH, FactKind.SEARCH_END})
# So many of the things that were not tested are named.
_MOST_NAMED = 3


def judge(
    plan: Plan, findings: FindingTable, claims: Sequence[Claim] | None = None
) -> tuple[Verdict, ...]:
    """Return a verdict for every claim of the plan (or for those of `claims`), in their order."""
    judged = plan.claims if claims is None else claims
    ids = {claim.id for claim in judged}
    parts: dict[str, list[Part]] = defaultdict(list)
    for part in plan.parts:
        if part.claim in ids:
            parts[part.claim].append(part)
    omissions: dict[str, list[Omission]] = defaultdict(list)
    for omission in plan.omissions:
        omissions[omission.claim].append(omission)
    static = {evidence.claim: evidence for evidence in plan.static}
    verdicts = []
    for claim in judged:
        own, ruled_out, left_out = without_ruled_out(parts[claim.id], findings)
        part_verdicts = [judge_part(part, findings) for part in own]
        part_verdicts = with_ranges(claim, own, part_verdicts, findings)
        bounding = [
            verdict for part, verdict in zip(own, part_verdicts, strict=True) if _bounds(part)
        ]
        verdict = roll_up(claim, part_verdicts, [*omissions[claim.id], *left_out], bounding)
        verdict = dataclasses.replace(verdict, remarks=(*verdict.remarks, *ruled_out))
        verdict = with_unusable_minimum(verdict, own, findings)
        verdicts.append(with_static(verdict, static.get(claim.id)))
    return tuple(verdicts)


def blocks(claim: Claim, omission: Omission) -> bool:
    """Return whether an omission keeps the claim from being confirmed.

    A missing wheel is no gap in a promise about a framework, and it is one in a promise about the
    very runtime that has no wheel.
    """
    if omission.reason is Reason.NO_WHEEL:
        return claim.kind is ClaimKind.RUNTIME
    return omission.reason not in _NO_GAP


def _bounds(part: Part) -> bool:
    """Return whether a part is at an end of its claim's range, so that it can tell of tightness.

    Of a library's row, only some parts have a cell beside the range; of the tracer's releases,
    all but the newest of a branch, whose first control is the documented minimum.
    """
    if part.before or part.above:
        return True
    return not part.pick and not part.is_compared_back


def roll_up(
    claim: Claim,
    parts: Sequence[PartVerdict],
    omissions: Sequence[Omission],
    bounding: Sequence[PartVerdict],
) -> Verdict:
    """Return the claim's verdict; `bounding` are the parts that have a cell beside its range.

    Refuted if any part is; confirmed only if every part is and nothing was omitted that could have
    been tested; else unverified with the most frequent reason (the first of equals), that nobody
    requested the rest only if there is no other. A claim without parts is unverified.
    """
    refuted = [part for part in parts if part.outcome is Outcome.REFUTED]
    unverified = [part for part in parts if part.outcome is Outcome.UNVERIFIED]
    gaps = [omission for omission in omissions if blocks(claim, omission)]
    remarks = [remark for part in parts for remark in part.remarks]
    tightness: Tightness | None = None
    reason: Reason | None = None
    if refuted:
        outcome = Outcome.REFUTED
        # A way of failing that has a name comes first.
        refuted.sort(key=lambda part: part.reason is None)
        reason = refuted[0].reason
        facts = _refuted(refuted, len(parts))
    elif unverified or gaps or not parts:
        outcome = Outcome.UNVERIFIED
        reason, facts = _unverified(unverified, gaps, omissions, len(parts))
    else:
        outcome = Outcome.CONFIRMED
        tightness = _tightness(bounding)
        facts = parts[0].facts
        if len(parts) > 1:
            facts = (fact(FactKind.PARTS_HOLD, count=len(parts), facts=facts),)
        if tightness is None and any(part.tightness for part in bounding):
            remarks.append(fact(FactKind.TIGHTNESS_OPEN))
    beside = [item for item in omissions if item not in gaps or outcome is Outcome.REFUTED]
    counts = Counter(omission.reason for omission in beside)
    remarks += [
        fact(FactKind.OMITTED, count=count, reason=omitted.value)
        for omitted, count in counts.items()
    ]
    return Verdict(
        claim=claim.id,
        outcome=outcome,
        tightness=tightness,
        reason=reason,
        facts=facts,
        cells=tuple(dict.fromkeys(cell for part in parts for cell in part.cells)),
        parts=tuple(parts),
        remarks=_once(remarks),
        backends=tuple(dict.fromkeys(each for part in parts for each in part.backends)),
    )


def with_static(verdict: Verdict, evidence: StaticEvidence | None) -> Verdict:
    """Return the verdict with what is known without running anything, by the table above."""
    if evidence is None:
        return verdict
    index = fact(FactKind.INDEX, text=evidence.evidence)
    if not evidence.refutes or verdict.outcome is not Outcome.UNVERIFIED:
        return dataclasses.replace(verdict, remarks=(*verdict.remarks, index))
    remarks = verdict.remarks
    if verdict.parts:
        remarks = (*remarks, fact(FactKind.EXPERIMENTS, facts=verdict.facts))
    return dataclasses.replace(
        verdict,
        outcome=Outcome.REFUTED,
        tightness=None,
        reason=None,
        facts=(index,),
        remarks=remarks,
    )


def _once(remarks: Sequence[Fact]) -> tuple[Fact, ...]:
    """Return the remarks, each once; what is said of releases is said once for all cells."""
    first: dict[Fact, Fact] = {}
    for remark in remarks:
        of_cell = remark.kind not in _OF_RELEASES
        first.setdefault(remark if of_cell else remark.across_cells(), remark)
    return tuple(first.values())


def _refuted(refuted: Sequence[PartVerdict], count: int) -> tuple[Fact, ...]:
    first, *others = refuted
    part = fact(
        FactKind.PART, first.cells[0], probe=first.probe, channel=first.channel, facts=first.facts
    )
    if count == 1:
        return (part,)
    also = [
        fact(FactKind.ALSO_FAILS, other.cells[0], probe=other.probe, channel=other.channel)
        for other in others
    ]
    failing = len(refuted)
    all_ranges = [item for part in refuted for item in part.facts if item.kind is FactKind.HOLDS_IN]
    of_first = {item.across_cells() for item in first.facts}
    ranges = [item for item in _once(all_ranges) if item.across_cells() not in of_first]
    return (fact(FactKind.PARTS_FAIL, failing=failing, count=count, facts=[part, *also]), *ranges)


def _unverified(
    parts: Sequence[PartVerdict],
    gaps: Sequence[Omission],
    omissions: Sequence[Omission],
    count: int,
) -> tuple[Reason, tuple[Fact, ...]]:
    reasons = Counter(part.reason for part in parts if part.reason is not None)
    reasons.update(gap.reason for gap in gaps if gap.reason not in _NOT_REQUESTED)
    if not reasons:
        reasons.update(gap.reason for gap in gaps)
    if not reasons:
        # No part and nothing but what cannot exist: the first such reason is the whole answer.
        reasons.update(omission.reason for omission in omissions)
    if not reasons:
        return Reason.NO_PROBE, (fact(FactKind.NOT_PLANNED),)
    reason = reasons.most_common(1)[0][0]
    for part in parts:
        if part.reason is reason:
            still_open = fact(
                FactKind.PARTS_OPEN,
                open=len(parts),
                count=count,
                probe=part.probe,
                channel=part.channel,
                facts=part.facts,
            )
            return reason, (still_open,)
    untested = [omission for omission in gaps or omissions if omission.reason is reason]
    first = untested[:_MOST_NAMED]
    not_tested = fact(
        FactKind.NOT_TESTED,
        holding=count - len(parts),
        count=count,
        subjects=tuple(omission.subject for omission in first),
        more=len(untested) - len(first),
        details=tuple(dict.fromkeys(item.detail for item in first if item.detail)),
    )
    return reason, (not_tested,)


def _tightness(parts: Sequence[PartVerdict]) -> Tightness | None:
    values = {part.tightness for part in parts}
    if len(values) == 1:
        return values.pop()
    if None in values or not values:
        return None
    return Tightness.MIXED if Tightness.EARLIER in values else Tightness.LATER
