"""One shard, run: into a folder of its own, which says what it is and is sealed at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from pathlib import Path

from matrix.distributed.manifest import Manifest, Shard, shard_plan
from matrix.distributed.shard_file import (
    JOURNAL,
    STORAGE_HINT,
    ShardFile,
    ShardSeal,
    ShardStatus,
    sealed_results,
    sha256,
)
from matrix.errors import ExitCode, StorageError, UsageError, did_you_mean
from matrix.model.probe import Probe
from matrix.runs.events import Emit, Event, VerdictReached
from matrix.runs.journal import Journal, one_run
from matrix.runs.result import RunResult
from matrix.runs.result_store import ResultStore
from matrix.runs.run import OpenWorld, RunOptions, exit_code, verify
from matrix.runs.scheduler import RunContext
from matrix.runs.setup import SetupOptions
from matrix.system.paths import results_dir

__all__ = ["ShardRun", "check_project", "find_shard", "run_shard", "shards_folder"]


@dataclasses.dataclass(frozen=True)
class ShardRun:
    """How a shard's run ended, and where its results lie."""

    shard: Shard
    folder: Path
    result: RunResult
    seal: ShardSeal

    @property
    def exit_code(self) -> ExitCode:
        """Return 0 where all its cells ended, whatever they showed: the collector judges."""
        if self.seal.ended is ShardStatus.COMPLETE:
            return ExitCode.OK
        if self.seal.ended is ShardStatus.UNKEPT:
            return ExitCode.STORAGE
        return exit_code(self.result, strict=False)

    def __str__(self) -> str:
        kept = {each.cell for each in self.seal.kept}
        ran, further = (len(kept.intersection(x)) for x in (self.shard.cells, self.shard.reserve))
        tail = f" and {further} further controls" if further else ""
        return (
            f"{self.shard.name}: {self.seal.ended.value}: {ran} of {len(self.shard.cells)} cells"
            f"{tail} in {self.result.seconds:.1f} s: {self.folder}"
        )


def shards_folder(results: Path, manifest: Manifest) -> Path:
    """Return where the shards of a run have their folders."""
    return results / "shards" / manifest.id[:12]


def find_shard(manifest: Manifest, name: str) -> Shard:
    """Return the shard with this name; raise UsageError."""
    shard = manifest.shard(name)
    if shard is None:
        names = [each.name for each in manifest.shards]
        raise UsageError(
            f"the manifest has no shard {name!r}{did_you_mean(name, names)}",
            f"It has: {', '.join(names) or 'none'}",
        )
    return shard


def check_project(manifest: Manifest, project: str, called: Path) -> None:
    """Raise UsageError where another version of this project made the manifest."""
    if manifest.project != project:
        raise UsageError(
            f"another version of this project made {called}"
            f" ({manifest.project[:12]}, and this is {project[:12]})",
            "Take the version that made it, or make it again: python -m matrix plan --github",
        )


def run_shard(
    manifest: Manifest, shard: Shard, options: RunOptions, emit: Emit, world: OpenWorld
) -> ShardRun:
    """Run a shard of the plan; raise UserError.

    What an earlier run of the same shard has done is not done again.
    """
    folder = shards_folder(results_dir(), manifest) / shard.name
    started = dt.datetime.now(tz=dt.timezone.utc).isoformat(timespec="seconds")
    told = ShardFile(manifest.id, shard.name, manifest.project, started)

    @contextlib.contextmanager
    def opened(
        folder: Path, how: SetupOptions, probes: Mapping[str, Probe], keeping: ResultStore
    ) -> Iterator[RunContext]:
        # Here the folder is ours alone. A seal of an earlier run is broken before anything is done.
        told.write(folder)
        with world(folder, how, probes, keeping) as each:
            yield each

    def without_verdicts(event: Event) -> None:
        # A claim may have parts in other shards: what it comes to is not known here.
        if not isinstance(event, VerdictReached):
            emit(event)

    result = verify(shard_plan(manifest.plan, shard), options, without_verdicts, opened, folder)
    with one_run(folder):
        seal = _seal(folder, result)
        dataclasses.replace(told, seal=seal).write(folder)
    return ShardRun(shard, folder, result, seal)


def _seal(folder: Path, result: RunResult) -> ShardSeal:
    path = folder / JOURNAL
    try:
        content = path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error}", STORAGE_HINT) from error
    with contextlib.closing(Journal(path)) as journal:
        there = {(each.cell, each.key) for each in journal.read().entries.values()}
    made = {(each.cell, each.key) for each in result.cells}
    if result.interrupted or result.lost:
        ended = ShardStatus.INTERRUPTED if result.interrupted else ShardStatus.LOST
    else:
        there, ended = there & made, ShardStatus.COMPLETE if made <= there else ShardStatus.UNKEPT
    kept = sealed_results(folder, there)
    if ended is ShardStatus.COMPLETE and len(kept) < len(made):
        ended = ShardStatus.UNKEPT
    warnings = tuple(each.encode("utf-8", "replace").decode() for each in result.warnings)
    return ShardSeal(ended, sha256(content), len(content), kept, round(result.seconds, 3), warnings)
