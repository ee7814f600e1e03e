"""A run put together from the folders of its shards: gathered, merged, held against the plan."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from matrix.errors import IncompleteRunError
from matrix.model.probe import Probe
from matrix.sharding.concluding import absent_of, conclude
from matrix.sharding.expecting import REFUSED, Missing, missing_of, words_of
from matrix.sharding.gathering import Gathered, gather, shard_folders
from matrix.sharding.manifest import Manifest
from matrix.sharding.merging import Merged, Piece, best_of_cells, merge
from matrix.sharding.pieces import Rules
from matrix.sharding.seals import Ended
from matrix.verify.events import Emit, RunStarted
from matrix.verify.result import RunResult

__all__ = ["Collected", "collect", "collected"]


@dataclasses.dataclass(frozen=True)
class Collected:
    """What shards found together.

    `merged` are their results and `files` the captures' by sha256. `refused` and `missing` say what
    keeps the run from being complete. `warnings` are what the shards said of themselves.
    """

    manifest: Manifest
    merged: Merged
    files: Mapping[str, Path]
    refused: tuple[str, ...]
    missing: tuple[Missing, ...]
    warnings: tuple[str, ...]
    shards: int

    @property
    def pieces(self) -> dict[str, Piece]:
        """Return what counts of each cell."""
        return best_of_cells(self.merged)

    @property
    def problems(self) -> tuple[str, ...]:
        """Return all that keeps the run from being complete, in sentences."""
        return (*self.refused, *map(str, self.missing))

    def judged(self, probes: Mapping[str, Probe], emit: Emit) -> RunResult:
        """Return the run that its pieces make; cells that are missing were not run."""
        why = {cell: f"{each.shard}: {each.why}" for each in self.missing for cell in each.cells}
        place = f"collected from {self.shards} of {len(self.manifest.shards)} shards"
        emit(RunStarted(self.manifest.plan, 1, place=place))
        result = conclude(self.manifest, self.pieces, why, probes, emit)
        return dataclasses.replace(result, warnings=(*self.problems, *self.warnings))

    def error(self) -> IncompleteRunError | None:
        """Return what tells that the run is not complete, None where it is."""
        if not self.problems:
            return None
        lines = "\n".join(f"  {problem}" for problem in self.problems)
        names = " ".join(each.shard for each in self.missing)
        fresh = " (with --fresh where something was refused)" if self.refused else ""
        again = f"Run again{fresh}, then collect again: verify --shard, for {names}."
        return IncompleteRunError(
            f"{'the run is not complete' if self.missing else 'not all was taken in'}:\n{lines}",
            again if names else "Leave out what was refused, or see why it is there.",
        )


def collect(manifest: Manifest, given: Iterable[Path], rules: Rules) -> Collected:
    """Return what the folders given hold of a run."""
    folders, refused = shard_folders(given)
    return collected(manifest, [gather(each, manifest, rules) for each in folders], refused)


def collected(
    manifest: Manifest, gathered: Iterable[Gathered], refused: Iterable[str] = ()
) -> Collected:
    """Return what was gathered, put together; the order of the folders does not matter."""
    ended: dict[str, list[Ended | None]] = defaultdict(list)
    merged: dict[str, Piece] = {}
    files: dict[str, Path] = {}
    why: dict[str, str] = {}
    problems, warnings = list(refused), []
    for each in sorted(gathered, key=lambda each: str(each.folder)):
        problems += each.problems
        if each.shard and each.refused:
            why.setdefault(each.shard, REFUSED)
        elif each.shard:
            ended[each.shard].append(each.ended)
            warnings += [f"{each.shard}: {warning}" for warning in each.warnings]
            files.update(each.files)
        merged = merge(merged, each.pieces)
    absent = {each.cell.id for each in absent_of(manifest, best_of_cells(merged))}
    why.update((shard, words_of(how)) for shard, how in ended.items())
    return Collected(
        manifest,
        merged,
        files,
        tuple(problems),
        tuple(missing_of(manifest, absent, why)),
        tuple(dict.fromkeys(warnings)),
        len(ended),
    )
