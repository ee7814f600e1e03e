"""The manifest as a file: written whole or not at all, read strictly, told by its content.

Its schema is `data/schemas/manifest.schema.json`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matrix.errors import StorageError, UnreadableInputError
from matrix.records.files import FileKind
from matrix.records.values import cell_id, digest, seconds, text
from matrix.replacing import write_whole
from matrix.sharding.manifest import Manifest, Shard
from matrix.sharding.manifest_checks import check
from matrix.sharding.plan_json import only, plan_from_json, plan_to_json, tuple_of

__all__ = ["SCHEMA", "parse_manifest", "read_manifest", "to_bytes", "write_manifest"]

SCHEMA = "manifest/1"
_REMEDY = "Make it with: python -m matrix plan --github --manifest FILE"
_MANIFESTS = FileKind("a manifest", SCHEMA, 200_000_000, _REMEDY)


def to_bytes(manifest: Manifest) -> bytes:
    """Return the content of the file: one way to write it, so that equal manifests are equal."""
    data = {
        "schema": SCHEMA,
        "project": manifest.project,
        "as_of": manifest.as_of,
        "plan": plan_to_json(manifest.plan),
        "shards": [dataclasses.asdict(shard) for shard in manifest.shards],
    }
    return (json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def write_manifest(path: Path, manifest: Manifest) -> Manifest:
    """Write the file, whole or not at all, and return the manifest with its id.

    Raises StorageError.
    """
    content = to_bytes(manifest)
    try:
        write_whole(path, content)
    except OSError as error:
        raise StorageError(
            f"{path} cannot be written: {error.strerror}", "Give --manifest another path."
        ) from error
    return dataclasses.replace(manifest, id=hashlib.sha256(content).hexdigest())


def read_manifest(path: Path) -> Manifest:
    """Return what a file holds; raise `UnreadableInputError`, which names the file."""
    return parse_manifest(_MANIFESTS.read(path), str(path))


def parse_manifest(content: bytes, called: str) -> Manifest:
    """Return what the bytes of a file hold; `called` is the file's name for errors.

    Its id is that of the file as the program writes it, however these bytes are indented. Raises
    `UnreadableInputError`.
    """
    data = _MANIFESTS.parse(content, called)
    try:
        manifest = _manifest(data)
        check(manifest)
        own = hashlib.sha256(to_bytes(manifest)).hexdigest()
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UnreadableInputError(
            f"{called} is no complete manifest: {type(error).__name__}: {error}", _REMEDY
        ) from error
    return dataclasses.replace(manifest, id=own)


def _manifest(data: Mapping[str, Any]) -> Manifest:
    only(data, "schema", "project", "as_of", "plan", "shards")
    return Manifest(
        plan=plan_from_json(data["plan"]),
        shards=tuple_of(data["shards"], _shard),
        project=digest(data["project"]),
        as_of=text(data["as_of"]),
    )


def _shard(data: Mapping[str, Any]) -> Shard:
    only(data, *(field.name for field in dataclasses.fields(Shard)))
    return Shard(
        name=text(data["name"]),
        target=text(data["target"]),
        engine=text(data["engine"]),
        cells=tuple_of(data["cells"], cell_id),
        reserve=tuple_of(data["reserve"], cell_id),
        seconds=seconds(data["seconds"]),
    )
