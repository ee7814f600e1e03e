"""Whether a manifest is one: nothing stands twice, nothing is missing, nothing is torn apart."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator

from matrix.model.plan import Plan
from matrix.sharding.manifest import Manifest, Shard

__all__ = ["ENGINES", "MOST_SHARDS", "check"]

ENGINES = ("docker", "local")
"""What runs the cells of a shard."""

MOST_SHARDS = 256
"""As many jobs as GitHub makes of one job's matrix.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstrategymatrix
"""

# It is a folder's name, a job's, and an option's value.
_NAME = re.compile(r"[a-z0-9_]{1,64}-[0-9]{1,6}")


def check(manifest: Manifest) -> None:
    """Raise ValueError that lists what is wrong with a manifest."""
    wrong = [*_with_plan(manifest.plan), *_with_shards(manifest)]
    if wrong:
        more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004
        raise ValueError(f"{'; '.join(wrong[:3])}{more}")


def _with_plan(plan: Plan) -> Iterator[str]:
    yield from _twice("the claim", (claim.id for claim in plan.claims))
    yield from _twice("the cell", (each.cell.id for each in (*plan.cells, *plan.fallbacks)))
    yield from _twice("the target", plan.targets)
    yield from _twice("static evidence of", (each.claim for each in plan.static))
    claims = {claim.id for claim in plan.claims}
    named = [part.claim for part in plan.parts]
    named += [each.claim for each in plan.left_out] + [each.claim for each in plan.static]
    yield from (f"{each} is no claim of it" for each in dict.fromkeys(named) if each not in claims)
    planned = {each.cell.id for each in (*plan.cells, *plan.fallbacks)}
    needed = dict.fromkeys(cell for part in plan.parts for cell in part.cells)
    yield from (f"a part needs {cell}, which is not in it" for cell in needed.keys() - planned)


def _with_shards(manifest: Manifest) -> Iterator[str]:
    shards, plan = manifest.shards, manifest.plan
    if len(shards) > MOST_SHARDS:
        yield f"it has {len(shards)} shards, and at most {MOST_SHARDS} can be run"
    yield from _twice("the shard", (shard.name for shard in shards))
    for shard in shards:
        yield from _with_shard(shard)
    yield from _shared_out("cell", [each.cell.id for each in plan.cells], [s.cells for s in shards])
    reserve = [each.cell.id for each in plan.fallbacks]
    yield from _shared_out("cell in reserve", reserve, [s.reserve for s in shards])
    home = {cell: s.name for s in shards for cell in (*s.cells, *s.reserve)}
    for part in plan.parts:
        homes = sorted({home[cell] for cell in part.cells if cell in home})
        if len(homes) > 1:
            yield f"what {part.minimum} is compared with is in {' and '.join(homes)}"


def _with_shard(shard: Shard) -> Iterator[str]:
    if not _NAME.fullmatch(shard.name):
        yield f"{shard.name!r} is no name of a shard"
    if shard.engine not in ENGINES:
        yield f"{shard.engine!r} of {shard.name} is none of {', '.join(ENGINES)}"
    for cell in (*shard.cells, *shard.reserve):
        # An id's second word is its target.
        if cell.split("-", 2)[1] != shard.target:
            yield f"{cell} is not for {shard.target}, as {shard.name} is"


def _shared_out(what: str, planned: list[str], parts: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield what is not in exactly one shard, or in an order that is not the plan's."""
    counts = Counter(cell for part in parts for cell in part)
    for cell in planned:
        if counts[cell] != 1:
            yield f"the {what} {cell} is in {counts[cell] or 'no'} shards"
    rank = {cell: number for number, cell in enumerate(planned)}
    for part in parts:
        if strange := [cell for cell in part if cell not in rank]:
            yield f"{strange[0]} in a shard is no {what} of the plan"
        elif list(part) != sorted(part, key=rank.__getitem__):
            yield f"the order of a shard is not the plan's, from {part[0]} on"


def _twice(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, many in Counter(names).items():
        if many > 1:
            yield f"{what} {name} stands {many} times"
