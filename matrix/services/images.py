"""Official images of servers, by digest: `data/service_images.toml`, which a registry fills.

A digest is there only where a registry told it; `services refresh` asks.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from matrix.containers.references import reference
from matrix.places import data_dir

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Digests", "by_digest", "images_path", "read_images", "write_images"]

Digests = Mapping[tuple[str, str], tuple[str, str]]
"""By name and platform: the digest, and the day on which the registry told it."""

_SCHEMA = "service-images/1"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def images_path() -> Path:
    """Return the file of this version of the project."""
    return data_dir() / "service_images.toml"


def read_images(path: Path | None = None) -> dict[tuple[str, str], tuple[str, str]]:
    """Return what stands there; raise ValueError for what is no digest."""
    path = path or images_path()
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    if data.get("schema") != _SCHEMA:
        raise ValueError(f"{path} is not of the schema {_SCHEMA}")
    found = {}
    for entry in data.get("images", ()):
        if not _DIGEST.fullmatch(entry["digest"]):
            raise ValueError(f"{path}: {entry['name']}: {entry['digest']!r} is no digest")
        found[entry["name"], entry["platform"]] = (entry["digest"], entry["read"])
    return found


def write_images(path: Path, digests: Digests) -> None:
    """Write the file, whole or not at all, with the comment that it begins with."""
    import tomli_w  # noqa: PLC0415 - only to write

    lines = path.read_text(encoding="utf-8").splitlines()
    comment = "".join(f"{line}\n" for line in lines if line.startswith("#"))
    images = [
        {"name": name, "platform": platform, "digest": digest, "read": read}
        for (name, platform), (digest, read) in sorted(digests.items())
    ]
    handle, half = tempfile.mkstemp(dir=path.parent, prefix=".images-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        stream.write(comment + tomli_w.dumps({"schema": _SCHEMA, "images": images}))
    Path(half).chmod(0o644)
    Path(half).replace(path)


def by_digest(name: str, digest: str, environ: Mapping[str, str]) -> str:
    """Return what an engine calls the image `name` (`redis:7`) of this digest."""
    return f"{reference(name.partition(':')[0], environ)}@{digest}"
