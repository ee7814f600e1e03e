"""The order of parts, and by it that of cells: the first claims are to be answered early."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Part

__all__ = ["in_order"]

_RANK = {
    kind: rank
    for rank, kind in enumerate(
        (
            ClaimKind.CAPABILITY,
            ClaimKind.FRAMEWORK,
            ClaimKind.AUTHENTICATION,
            ClaimKind.NOTE,
            ClaimKind.INTEGRATION,
            ClaimKind.RUNTIME,
            ClaimKind.DEPLOYMENT,
            ClaimKind.BRANCH,
        )
    )
}


def in_order(claims: Iterable[Claim], parts: Sequence[Part]) -> list[Part]:
    """Return the parts, capabilities first and among equals the claim that needs fewest cells.

    The parts of one claim keep their order. The same whatever the order of the claims is.
    """
    needs: dict[str, set[str]] = {}
    for part in parts:
        wanted = {part.minimum, *part.controls[:1]} | ({part.before} if part.before else set())
        needs.setdefault(part.claim, set()).update(wanted)
    keys = {
        claim.id: (_RANK[claim.kind], len(needs.get(claim.id, ())), claim.subject, claim.id)
        for claim in claims
    }
    return sorted(parts, key=lambda part: keys[part.claim])
