"""`shard.json`: which shard of which run a folder holds, and the seal over its results.

A folder without a seal belongs to a run that was killed or is still running.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matrix.distributed.untrusted import RefusedError, parse_json, read_file
from matrix.errors import StorageError
from matrix.model.validate import cell_id, count, digest, seconds, text, time
from matrix.runs.captures import CaptureStore
from matrix.system.atomic import write_atomic

SHARD, JOURNAL, CAPTURES = "shard.json", "journal.jsonl", "captures"
SCHEMA = "shard/1"
_MAX_BYTES = 50_000_000
STORAGE_HINT = (
    "Free space, or move the results with COMPAT_MATRIX_RESULTS; finished cells are kept."
)


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
        try:
            write_atomic(path, f"{json.dumps(data, indent=1)}\n".encode())
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}", STORAGE_HINT) from error

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


def sealed_results(folder: Path, keys: Iterable[tuple[str, str]]) -> tuple[SealedResult, ...]:
    """Return the results by cell and key, without those whose capture cannot be read."""
    captures = CaptureStore(folder / CAPTURES)
    results = []
    for cell, key in sorted(keys):
        try:
            content = captures.path(cell, key).read_bytes()
        except OSError:
            continue
        results.append(SealedResult(cell, key, sha256(content)))
    return tuple(results)


def sha256(content: bytes) -> str:
    """Return the hexadecimal sha256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


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
