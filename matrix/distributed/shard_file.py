"""`shard.json`: which part of which run a folder holds, and at the end the seal over what is in it.

Without a seal its run was killed, or still goes on.
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

__all__ = [
    "CAPTURES",
    "JOURNAL",
    "SHARD",
    "STORAGE_HINT",
    "SealedResult",
    "ShardFile",
    "ShardSeal",
    "ShardStatus",
    "sealed_results",
    "sha256",
]

SHARD, JOURNAL, CAPTURES = "shard.json", "journal.jsonl", "captures"
SCHEMA = "shard/1"
_LARGEST = 50_000_000
STORAGE_HINT = (
    "Free space, or move the results with COMPAT_MATRIX_RESULTS; finished cells are kept."
)


class ShardStatus(str, enum.Enum):
    """How a shard's run ended. UNKEPT: all its cells did, but not all results could be written."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    LOST = "lost"
    UNKEPT = "unkept"


@dataclasses.dataclass(frozen=True)
class SealedResult:
    """A result that counts: its cell, its key, and the sha256 of the file of its capture."""

    cell: str
    key: str
    sha256: str


@dataclasses.dataclass(frozen=True)
class ShardSeal:
    """What was there at the end: `journal` and `size` are the sha256 and the bytes of the journal.

    `kept` are the results of the run; what else the journal holds is older than they. `seconds` is
    how long the run took, `warnings` are what it said.
    """

    ended: ShardStatus
    journal: str
    size: int
    kept: tuple[SealedResult, ...]
    seconds: float
    warnings: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class ShardFile:
    """`manifest` and `project` are what the shard was given by; `started` is an ISO time."""

    manifest: str
    shard: str
    project: str
    started: str
    seal: ShardSeal | None = None

    def write(self, folder: Path) -> None:
        """Write it into the shard's folder, whole or not at all; raise StorageError."""
        path = folder / SHARD
        data = {"schema": SCHEMA, **dataclasses.asdict(self)}
        try:
            write_atomic(path, f"{json.dumps(data, indent=1)}\n".encode())
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error}", STORAGE_HINT) from error

    @classmethod
    def read(cls, folder: Path) -> ShardFile:
        """Return what a folder says of itself, from wherever it came; raise `RefusedError`."""
        data = parse_json(read_file(folder / SHARD, _LARGEST))
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCHEMA:
            raise RefusedError(f"has the schema {str(schema)[:80]!r}, not {SCHEMA!r}")
        try:
            return cls(
                manifest=digest(data["manifest"]),
                shard=text(data["shard"]),
                project=digest(data["project"]),
                started=time(data["started"]),
                seal=None if data["seal"] is None else _seal(data["seal"]),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RefusedError(f"is incomplete ({type(error).__name__}: {error})") from error


def sealed_results(folder: Path, keys: Iterable[tuple[str, str]]) -> tuple[SealedResult, ...]:
    """Return the results by cell and key, without those whose capture cannot be read."""
    captures = CaptureStore(folder / CAPTURES)
    found = []
    for cell, key in sorted(keys):
        try:
            content = captures.path(cell, key).read_bytes()
        except OSError:
            continue
        found.append(SealedResult(cell, key, sha256(content)))
    return tuple(found)


def sha256(content: bytes) -> str:
    """Return the digest that files are told by."""
    return hashlib.sha256(content).hexdigest()


def _seal(data: Mapping[str, Any]) -> ShardSeal:
    return ShardSeal(
        ended=ShardStatus(data["ended"]),
        journal=digest(data["journal"]),
        size=count(data["size"]),
        kept=tuple(
            SealedResult(cell_id(each["cell"]), digest(each["key"]), digest(each["sha256"]))
            for each in data["kept"]
        ),
        seconds=seconds(data["seconds"]),
        warnings=tuple(map(text, data["warnings"])),
    )
