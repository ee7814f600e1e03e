"""Which cells of a run are missing, held against what was shared out. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping

from matrix.sharding.manifest import Manifest
from matrix.sharding.seals import Ended

__all__ = ["NEVER", "REFUSED", "Missing", "missing_of", "words_of"]

NEVER = "it never ran"
REFUSED = "what it found was refused"
_WORDS = {
    None: "it was killed, or still runs",
    Ended.INTERRUPTED: "it was interrupted",
    Ended.LOST: "what ran its cells was lost",
    Ended.UNKEPT: "not all that it found could be written",
    Ended.COMPLETE: "a part of what it found was refused",
}
_NAMED = 3


@dataclasses.dataclass(frozen=True)
class Missing:
    """Cells of a shard that should have ended and did not; `of` is how many it has to run."""

    shard: str
    cells: tuple[str, ...]
    of: int
    why: str

    def __str__(self) -> str:
        names = ", ".join(self.cells[:_NAMED])
        more = len(self.cells) - _NAMED
        tail = f" and {more} more" if more > 0 else ""
        return (
            f"{self.shard}: {self.why}: {len(self.cells)} of {self.of} cells missing"
            f" ({names}{tail})"
        )


def words_of(ended: Iterable[Ended | None]) -> str:
    """Return why cells of a shard may be missing; `ended` is how each of its runs ended."""
    return "; ".join(dict.fromkeys(_WORDS[each] for each in ended))


def missing_of(
    manifest: Manifest, absent: Collection[str], why: Mapping[str, str]
) -> Iterator[Missing]:
    """Yield the shards that lack any of the `absent` cells; `why` is by shard."""
    for shard in manifest.shards:
        cells = tuple(each for each in (*shard.cells, *shard.reserve) if each in absent)
        if cells:
            needed = len(shard.cells) + sum(each in absent for each in shard.reserve)
            yield Missing(shard.name, cells, needed, why.get(shard.name, NEVER))
