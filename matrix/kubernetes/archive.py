"""The project's own files as an archive, in pieces that fit into ConfigMaps."""

from __future__ import annotations

import base64
import functools
import gzip
import io
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from matrix.system.paths import project_root

ARCHIVE = "project"
"""Name of the ConfigMaps with the pieces of the archive, before `-` and a number."""

# https://kubernetes.io/docs/concepts/configuration/configmap/: 1 MiB, with names and labels.
_PIECE_BYTES = 700_000
_FOLDERS = ("matrix", "apps", "fixtures")
_SUFFIXES = {".py", ".toml", ".json", ".html", ".txt"}
# What no cell reads: the facts with their locks, and the page of reports.
_OMITTED = (Path("matrix/facts"), Path("matrix/data/page"), Path("fixtures/documents"))
_REQUIREMENT = re.compile(r"(?m)^(?P<name>[A-Za-z0-9._-]+)==(?:.*\\\n)*.*\n?")


@functools.cache
def project_archive() -> bytes:
    """Return the archive of all files that a cell and its recorder need."""
    return pack(project_files())


def project_files() -> dict[str, Path]:
    """Return the files that a cell and its recorder need, by their names in the project."""
    root = project_root()
    return {path.relative_to(root).as_posix(): path for path in _project_files(root)}


def pack(files: Mapping[str, Path]) -> bytes:
    """Return a tar file, compressed by gzip, of files by name; equal for equal files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, path in files.items():
            content = path.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def pieces_of(content: bytes) -> list[bytes]:
    """Return the content in pieces, of which each fits into a ConfigMap."""
    return [content[at : at + _PIECE_BYTES] for at in range(0, len(content), _PIECE_BYTES)]


def config_map(
    name: str,
    *,
    texts: dict[str, str] | None = None,
    files: dict[str, bytes] | None = None,
    labels: dict[str, str],
) -> dict[str, Any]:
    """Return a ConfigMap, which nobody can change, with files by name."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": labels},
        "immutable": True,
        "data": dict(texts or {}),
        "binaryData": {
            file: base64.b64encode(content).decode("ascii")
            for file, content in (files or {}).items()
        },
    }


def locked_lines(lock: str, names: Iterable[str]) -> str:
    """Return the lines of the distributions with these names of a lock in pip's format.

    Raises KeyError for one that it does not have.
    """
    entries = {match["name"]: match[0] for match in _REQUIREMENT.finditer(lock)}
    return "".join(entries[name].rstrip("\n") + "\n" for name in names)


def _project_files(root: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*"), key=lambda path: path.parts):
            own = path.relative_to(root)
            if any(omitted in own.parents for omitted in _OMITTED) or "__pycache__" in path.parts:
                continue
            if path.is_file() and path.suffix in _SUFFIXES:
                yield path
