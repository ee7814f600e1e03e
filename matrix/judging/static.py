"""What the package index says of a claim, taken into its verdict.

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

from matrix.model.static import StaticEvidence
from matrix.model.verdict import Outcome, Verdict

__all__ = ["with_static"]


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
