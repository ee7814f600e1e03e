"""A run put together from the folders of its shards: gathered, merged, held against the plan.

Which cells of a run are missing, held against what was shared out. Pure.

What was collected, laid where a run on this machine would have left it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from matrix.distributed.gather import LARGEST, GatheredFolder, JudgeRules, gather, shard_folders
from matrix.distributed.manifest import Manifest
from matrix.distributed.merge import Merged, ShardResult, absent_of, best_of_cells, conclude, merge
from matrix.distributed.shard_file import CAPTURES, JOURNAL, ShardCell, sha256
from matrix.distributed.untrusted import RefusedError, read_file
from matrix.errors import IncompleteRunError
from matrix.model.probe import Probe
from matrix.runs.captures import CaptureStore
from matrix.runs.events import Emit, RunStarted
from matrix.runs.journal import Journal
from matrix.runs.result import RunResult

__all__ = [
    "NEVER",
    "REFUSED",
    "CollectedRun",
    "MissingCells",
    "collect",
    "collected",
    "deposit",
    "missing_of",
    "words_of",
]

NEVER = "it never ran"
REFUSED = "what it found was refused"
_WORDS = {
    None: "it was killed, or still runs",
    ShardCell.INTERRUPTED: "it was interrupted",
    ShardCell.LOST: "what ran its cells was lost",
    ShardCell.UNKEPT: "not all that it found could be written",
    ShardCell.COMPLETE: "a part of what it found was refused",
}
_NAMED = 3


@dataclasses.dataclass(frozen=True)
class MissingCells:
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


def words_of(ended: Iterable[ShardCell | None]) -> str:
    """Return why cells of a shard may be missing; `ended` is how each of its runs ended."""
    return "; ".join(dict.fromkeys(_WORDS[each] for each in ended))


def missing_of(
    manifest: Manifest, absent: Collection[str], why: Mapping[str, str]
) -> Iterator[MissingCells]:
    """Yield the shards that lack any of the `absent` cells; `why` is by shard."""
    for shard in manifest.shards:
        cells = tuple(each for each in (*shard.cells, *shard.reserve) if each in absent)
        if cells:
            needed = len(shard.cells) + sum(each in absent for each in shard.reserve)
            yield MissingCells(shard.name, cells, needed, why.get(shard.name, NEVER))


@dataclasses.dataclass(frozen=True)
class CollectedRun:
    """What shards found together.

    `merged` are their results and `files` the captures' by sha256. `refused` and `missing` say what
    keeps the run from being complete. `warnings` are what the shards said of themselves.
    """

    manifest: Manifest
    merged: Merged
    files: Mapping[str, Path]
    refused: tuple[str, ...]
    missing: tuple[MissingCells, ...]
    warnings: tuple[str, ...]
    shards: int

    @property
    def pieces(self) -> dict[str, ShardResult]:
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


def collect(manifest: Manifest, given: Iterable[Path], rules: JudgeRules) -> CollectedRun:
    """Return what the folders given hold of a run."""
    folders, refused = shard_folders(given)
    return collected(manifest, [gather(each, manifest, rules) for each in folders], refused)


def collected(
    manifest: Manifest, gathered: Iterable[GatheredFolder], refused: Iterable[str] = ()
) -> CollectedRun:
    """Return what was gathered, put together; the order of the folders does not matter."""
    ended: dict[str, list[ShardCell | None]] = defaultdict(list)
    merged: dict[str, ShardResult] = {}
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
    return CollectedRun(
        manifest,
        merged,
        files,
        tuple(problems),
        tuple(missing_of(manifest, absent, why)),
        tuple(dict.fromkeys(warnings)),
        len(ended),
    )


def deposit(merged: Merged, files: Mapping[str, Path], results: Path) -> int:
    """Write what is not there yet, and return how many results that were.

    `files` says where captures lie, by their sha256. What is there by the same key is replaced, as
    by a new run; but what ended here is not given up for what is to be tried again. A capture is
    written before its line, so that one that is cut short can be done again. Raises StorageError,
    and IncompleteRunError where a file has changed since it was read.
    """
    captures = CaptureStore(results / CAPTURES)
    count = 0
    with contextlib.closing(Journal(results / JOURNAL)) as journal:
        there = journal.read().entries
        ordered = sorted(merged.values(), key=lambda piece: (piece.entry.started, piece.entry.key))
        for piece in ordered:
            cell, key = piece.entry.cell, piece.entry.key
            here, digest = there.get(key), _digest(captures.path(cell, key))
            same = digest == piece.capture
            if same and here == piece.entry:
                continue
            if here and digest and piece.entry.transient and not here.transient:
                continue
            if not same:
                captures.put(cell, key, _content(files[piece.capture], piece.capture))
            journal.append(piece.entry)
            count += 1
    return count


def _digest(path: Path) -> str:
    try:
        return sha256(path.read_bytes())
    except OSError:
        return ""


def _content(path: Path, digest: str) -> bytes:
    try:
        content = read_file(path, LARGEST)
    except RefusedError as error:
        raise IncompleteRunError(f"{path} {error}", _HINT) from error
    if sha256(content) != digest:
        raise IncompleteRunError(f"{path} has changed while it was collected", _HINT)
    return content


_HINT = "Collect again when nothing writes there any more."
