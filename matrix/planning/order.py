"""The order of parts, and by it that of cells: verdicts are to fall early and steadily."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matrix.model.cell import Cell
from matrix.model.claim import Claim, ClaimKind
from matrix.model.plan import Part

__all__ = ["by_target", "in_order"]

# Promises about runtimes and integrations come after those about capabilities.
_LATE = (ClaimKind.INTEGRATION, ClaimKind.RUNTIME)
_RANK = {kind: rank for rank, kind in enumerate(ClaimKind)}


def in_order(claims: Iterable[Claim], parts: Sequence[Part]) -> list[Part]:
    """Return the parts: next is always the claim whose cells that are not yet there cost least.

    A cell costs as much as it has probes, of whatever claims: it ends when the last one did. The
    parts of one claim keep their order. The same whatever the order of the claims is.
    """
    of_claim: dict[str, list[Part]] = {}
    needs: dict[str, set[str]] = {}
    probes: dict[str, set[str]] = {}
    for part in parts:
        of_claim.setdefault(part.claim, []).append(part)
        wanted = set(part.asked)
        needs.setdefault(part.claim, set()).update(wanted)
        for cell in wanted:
            probes.setdefault(cell, set()).add(part.probe)

    def cost(claim: Claim) -> tuple[bool, int]:
        missing = needs[claim.id] - there
        return claim.kind in _LATE, sum(len(probes[cell]) for cell in missing)

    waiting = sorted(
        (claim for claim in claims if claim.id in needs),
        key=lambda claim: (_RANK[claim.kind], claim.subject, claim.id),
    )
    ordered: list[Part] = []
    there: set[str] = set()
    while waiting:
        best = min(waiting, key=cost)
        waiting.remove(best)
        there |= needs[best.id]
        ordered += of_claim[best.id]
    return ordered


def by_target(parts: Iterable[Part], targets: Sequence[str]) -> list[Part]:
    """Return the parts, those of the first target first: what is emulated is slow, and comes last.

    Those of one target keep their order.
    """
    made = list(parts)
    if len(targets) < 2:  # noqa: PLR2004 - nothing to order
        return made
    rank = {cell: targets.index(Cell.parse(cell).target) for cell in {p.minimum for p in made}}
    return sorted(made, key=lambda part: rank[part.minimum])
