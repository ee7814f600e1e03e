"""What is known of a claim without running anything."""

from __future__ import annotations

import dataclasses

__all__ = ["StaticEvidence"]


@dataclasses.dataclass(frozen=True)
class StaticEvidence:
    """What the package index says of a claim, in one sentence with its positive control.

    `refutes` is set where no artifact in the whole promised range can fulfil the claim, and the
    same index does list artifacts of the same releases for other platforms or CPythons. Where it
    is not set, `evidence` says which releases cannot fulfil it; that alone decides nothing.
    """

    claim: str
    refutes: bool
    evidence: str
