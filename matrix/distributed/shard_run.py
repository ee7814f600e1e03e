"""Run one shard into a folder of its own, which is sealed at the end.

Its `shard.json` says which shard of which run it holds, and has the seal over the results. A folder
without a seal belongs to a run that was killed or is still running.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import enum
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from matrix.distributed.manifest import Manifest, Shard, shard_plan
from matrix.distributed.untrusted import RefusedError, parse_json, read_file, sha256
from matrix.errors import ExitCode, UsageError, did_you_mean, storage_errors
from matrix.model.probe import Probe
from matrix.model.validate import cell_id, count, digest, seconds, text, time
from matrix.runs.events import Emit, Event, VerdictReached
from matrix.runs.interface import RunContext
from matrix.runs.journal import STORAGE_HINT, Journal, lock_results
from matrix.runs.record import Record
from matrix.runs.result_store import CaptureStore, ResultStore
from matrix.runs.run import OpenRunContext, exit_code, verify
from matrix.runs.setup import RunOptions
from matrix.system.files import write_atomic
from matrix.system.paths import results_dir

SHARD, JOURNAL, CAPTURES = "shard.json", "journal.jsonl", "captures"
SCHEMA = "shard/1"
_MAX_BYTES = 50_000_000


class ShardStatus(str, enum.Enum):
    """The way in which a shard's run ended.

    UNSAVED: all cells ended, but not all of their results could be written.
    """

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    UNSAVED = "unkept"


@dataclasses.dataclass(frozen=True)
class SealedResult:
    """A result that counts: its cell, its key, and the sha256 of its capture's file."""

    cell: str
    key: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class ShardSeal:
    """The state of a shard's folder at the end of its run.

    `journal` and `size` are the sha256 and the bytes of the journal. `kept` are the results of the
    run; other lines of the journal are older. `seconds` is how long the run took, `warnings` are
    its warnings.
    """

    ended: ShardStatus
    journal: str
    size: int
    kept: tuple[SealedResult, ...]
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """The content of `shard.json`.

    `manifest` is the id of the manifest, `project` the project's version in it; `started` is an ISO
    time.
    """

    manifest: str
    shard: str
    project: str
    started: str
    seal: ShardSeal | None = None

    def write(self, folder: Path) -> None:
        """Write the file into the shard's folder, atomically; raise StorageError."""
        path = folder / SHARD
        data = {"schema": SCHEMA, **dataclasses.asdict(self)}
        with storage_errors(f"cannot write {path}", STORAGE_HINT):
            write_atomic(path, f"{json.dumps(data, indent=1)}\n".encode())

    @classmethod
    def read(cls, folder: Path) -> ShardFile:
        """Return the shard file of an untrusted folder; raise `RefusedError`."""
        data = parse_json(read_file(folder / SHARD, _MAX_BYTES))
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise RefusedError(f"has the schema {str(schema)[:80]!r}, not {SCHEMA!r}")
        try:
            return cls(
                manifest=digest(data["manifest"]),
                shard=text(data["shard"]),
                project=digest(data["project"]),
                started=time(data["started"]),
                seal=None if data["seal"] is None else _parse_seal(data["seal"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RefusedError(f"is incomplete ({type(error).__name__}: {error})") from error


def capture_digest(captures: CaptureStore, cell: str, key: str) -> str:
    """Return the sha256 of a capture's file, "" where it cannot be read."""
    try:
        return sha256(captures.path(cell, key).read_bytes())
    except OSError:
        return ""


def _parse_seal(data: Mapping[str, Any]) -> ShardSeal:
    return ShardSeal(
        ended=ShardStatus(data["ended"]),
        journal=digest(data["journal"]),
        size=count(data["size"]),
        kept=tuple(
            SealedResult(cell_id(result["cell"]), digest(result["key"]), digest(result["sha256"]))
            for result in data["kept"]
        ),
        seconds=seconds(data["seconds"]),
        warnings=tuple(map(text, data["warnings"])),
    )


@dataclasses.dataclass(frozen=True)
class ShardRun:
    """The result of a shard's run, and the folder that holds it."""

    shard: Shard
    folder: Path
    result: Record
    seal: ShardSeal

    @property
    def exit_code(self) -> ExitCode:
        """Return 0 where all cells ended, whatever they showed: the collector judges."""
        if self.seal.ended is ShardStatus.COMPLETE:
            return ExitCode.OK
        if self.seal.ended is ShardStatus.UNSAVED:
            return ExitCode.STORAGE
        return exit_code(self.result, strict=False)

    def __str__(self) -> str:
        sealed = {result.cell for result in self.seal.kept}
        done, further = (
            len(sealed.intersection(cells)) for cells in (self.shard.cells, self.shard.reserve)
        )
        tail = f" and {further} further controls" if further else ""
        return (
            f"{self.shard.name}: {self.seal.ended.value}: {done} of {len(self.shard.cells)} cells"
            f"{tail} in {self.result.run.seconds:.1f} s: {self.folder}"
        )


def shards_folder(results: Path, manifest: Manifest) -> Path:
    """Return the folder that holds the folders of a run's shards."""
    return results / "shards" / manifest.id[:12]


def find_shard(manifest: Manifest, name: str) -> Shard:
    """Return the shard with this name; raise UsageError."""
    shard = manifest.shard(name)
    if shard is None:
        names = [shard.name for shard in manifest.shards]
        raise UsageError(
            f"the manifest has no shard {name!r}{did_you_mean(name, names)}",
            f"Shards: {', '.join(names) or 'none'}",
        )
    return shard


def check_project(manifest: Manifest, project: str, path: Path) -> None:
    """Raise UsageError where another version of this project made the manifest."""
    if manifest.project != project:
        raise UsageError(
            f"another version of this project made {path}"
            f" ({manifest.project[:12]}, this is {project[:12]})",
            "Use that version, or make the manifest again: python -m matrix plan --github",
        )


def run_shard(
    manifest: Manifest, shard: Shard, options: RunOptions, emit: Emit, open_context: OpenRunContext
) -> ShardRun:
    """Run a shard of the plan, reusing results of its earlier runs; raise UserError."""
    folder = shards_folder(results_dir(), manifest) / shard.name
    started = dt.datetime.now(tz=dt.timezone.utc).isoformat(timespec="seconds")
    shard_file = ShardFile(manifest.id, shard.name, manifest.project, started)

    @contextlib.contextmanager
    def open_unsealed(
        folder: Path, options: RunOptions, probes: Mapping[str, Probe], store: ResultStore
    ) -> Iterator[RunContext]:
        # The folder is locked by now: remove the seal of an earlier run before anything runs.
        shard_file.write(folder)
        with open_context(folder, options, probes, store) as context:
            yield context

    def emit_without_verdicts(event: Event) -> None:
        # A claim may have parts in other shards, so its verdict is not known here.
        if not isinstance(event, VerdictReached):
            emit(event)

    plan = shard_plan(manifest.plan, shard)
    result = verify(plan, options, emit_without_verdicts, open_unsealed, folder)
    with lock_results(folder):
        seal = _seal(folder, result)
        dataclasses.replace(shard_file, seal=seal).write(folder)
    return ShardRun(shard, folder, result, seal)


def _seal(folder: Path, result: Record) -> ShardSeal:
    path = folder / JOURNAL
    with storage_errors(f"cannot read {path}", STORAGE_HINT):
        content = path.read_bytes() if path.exists() else b""
    with contextlib.closing(Journal(path)) as journal:
        entries = journal.read().entries.values()
    written = {(entry.cell, entry.key) for entry in entries}
    expected = {(record.id, record.key) for record in result.cells}
    # Counts of crashes are no results of the run: they belong to the one of the same base.
    bases = {(entry.cell, entry.base) for entry in entries if (entry.cell, entry.key) in expected}
    counts = {(e.cell, e.key) for e in entries if e.count and (e.cell, e.base) in bases}
    if result.run.interrupted:
        status = ShardStatus.INTERRUPTED
    elif result.run.lost:
        status = ShardStatus.LOST
    else:
        status = ShardStatus.COMPLETE if expected <= written else ShardStatus.UNSAVED
        written &= expected | counts
    captures = CaptureStore(folder / CAPTURES)
    results = tuple(
        SealedResult(cell, key, digest)
        for cell, key in sorted(written)
        if (digest := capture_digest(captures, cell, key))
    )
    if status is ShardStatus.COMPLETE and len(results) < len(expected):
        status = ShardStatus.UNSAVED
    warnings = tuple(warning.encode("utf-8", "replace").decode() for warning in result.run.warnings)
    return ShardSeal(
        status, sha256(content), len(content), results, round(result.run.seconds, 3), warnings
    )
