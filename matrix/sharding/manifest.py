"""What was shared out: the whole plan, and which shard runs which of its cells."""

from __future__ import annotations

import dataclasses

from matrix.model.plan import Plan

__all__ = ["MANIFEST", "Manifest", "Shard", "part_of"]

MANIFEST = "manifest.json"
"""What the file is called among the results, where nobody names another."""


@dataclasses.dataclass(frozen=True)
class Shard:
    """Cells for one machine of `target`, run by `engine` (`docker`, `local`).

    `cells` are the ids of those that run in any case and `reserve` those that may have to (further
    controls), both in the plan's order. Cells that are compared with each other are in one shard,
    so that it can tell by itself which of its reserve are needed. `seconds` is how long `cells` are
    expected to take, one after the other.
    """

    name: str
    target: str
    engine: str
    cells: tuple[str, ...]
    reserve: tuple[str, ...]
    seconds: float


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The expectation that a collected run is held against: each cell is in exactly one shard.

    `project` is the digest of the project's files that run and judge cells: what another version of
    them made is not part of this run. `as_of` are the words on the date of the dependencies. `id`
    is the sha256 of the file; results name it, and are refused where it is another's.
    """

    plan: Plan
    shards: tuple[Shard, ...]
    project: str
    as_of: str
    id: str = ""

    def shard(self, name: str) -> Shard | None:
        """Return the shard with this name."""
        return next((each for each in self.shards if each.name == name), None)


def part_of(plan: Plan, shard: Shard) -> Plan:
    """Return the plan of one shard: its cells, and what of the claims they decide among them.

    Its verdicts mean nothing: a claim may have parts in several shards. Only which further controls
    are run depends on them, and that is decided part by part.
    """
    mine = {*shard.cells, *shard.reserve}
    parts = tuple(part for part in plan.parts if part.minimum in mine)
    claims = {part.claim for part in parts}
    return dataclasses.replace(
        plan,
        claims=tuple(claim for claim in plan.claims if claim.id in claims),
        parts=parts,
        cells=tuple(each for each in plan.cells if each.cell.id in mine),
        fallbacks=tuple(each for each in plan.fallbacks if each.cell.id in mine),
        left_out=(),
        targets=(shard.target,),
        static=(),
    )
