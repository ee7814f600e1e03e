"""Manifests: which files a folder of the cache had when it was built, so that a change is noticed.

A manifest has the sha256 of each file with its size, inode and times. It is in a folder of its own,
where no cell finds it. Who writes to a file changes its ctime, also where the mtime is set back
(`utime`), so a file with the recorded times and inode is the recorded one; but links change the
ctime, too, and so all other files are read. On Windows, which has no ctime, a forged mtime is only
noticed where all files are read. Byte code is a part of what is built; a file too many is a change.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matrix.system.files import write_atomic
from matrix.system.stamps import sha256_of, stamp, unstamp

# A file may change twice within a tick of the clock that the file system uses: then its ctime does
# not tell. Ticks have up to 10 ms.
_TICK_NS = 50_000_000
_UNKNOWN = 0

_Stamp = tuple[int, int, int, int]
"""Size, mtime and ctime in ns, and inode of a file."""


@dataclasses.dataclass(frozen=True)
class TreeManifest:
    """`files` are stamps with sha256 in base64, by path; `links` are targets of symbolic links.

    `built` identifies the build: an equal folder that was built again has another one.
    """

    built: str
    files: dict[str, tuple[_Stamp, str]]
    links: dict[str, str]

    def digest(self) -> str:
        """Return the digest of the tree: of the paths and contents of all files."""
        rows = sorted(f"{path}\0{sha256}\n" for path, (_, sha256) in self.files.items())
        rows += sorted(f"{path}\0-> {target}\n" for path, target in self.links.items())
        return hashlib.sha256("".join(rows).encode("utf-8", "surrogateescape")).hexdigest()


class Manifests:
    """The manifests of the folders below `root`; safe for threads."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        # Content hashes of this process: folders share files by hard links.
        self._hashes: dict[_Stamp, str] = {}

    def sha256(self, path: Path) -> str:
        """Return the sha256 of a file as `RECORD` files have it, in base64; raise OSError."""
        return self._read(path)[1]

    def write(self, folder: Path, tree: Path | None = None) -> TreeManifest:
        """Write the manifest of a folder that was built, before it is moved there from `tree`.

        Raises OSError.
        """
        files, links = {}, {}
        for path, entry in _walk(tree or folder):
            if entry.is_symlink():
                links[path] = str(Path(entry.path).readlink())
            else:
                files[path] = self._read(Path(entry.path))
        manifest = TreeManifest(secrets.token_hex(8), files, links)
        self._store(folder, manifest)
        return manifest

    def read(self, folder: Path) -> TreeManifest | None:
        """Return the manifest of a folder, None where there is no whole one."""
        try:
            data: dict[str, Any] = json.loads(unstamp(self._path(folder).read_bytes()))
            files = {path: (tuple(row[:4]), row[4]) for path, row in data["files"].items()}
            return TreeManifest(data["built"], files, data["links"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError):
            return None

    def exists(self, folder: Path) -> bool:
        """Return whether the folder has a manifest, whole or not."""
        return self._path(folder).exists()

    def find_change(self, folder: Path, *, content: bool = False, built: str = "") -> str:
        """Return how a folder differs from what was built, "" where it does not.

        With `content` all files are read that this process has not read yet. `built` is the build
        that the folder must be of, whichever it is if empty. Raises OSError.
        """
        manifest = self.read(folder)
        if manifest is None:
            return "its manifest is missing or damaged"
        if built and manifest.built != built:
            return "it was built again"
        return self._compare(folder, manifest, content=content)

    def _compare(self, folder: Path, manifest: TreeManifest, *, content: bool) -> str:
        touched: dict[str, tuple[_Stamp, str]] = {}
        paths = set()
        for path, entry in _walk(folder):
            paths.add(path)
            if entry.is_symlink():
                if manifest.links.get(path) != str(Path(entry.path).readlink()):
                    return f"{path} was changed"
                continue
            recorded = manifest.files.get(path)
            if recorded is None:
                return f"{path} was added"
            if content or recorded[0] != _stamp_of(entry):
                current = self._read(Path(entry.path))
                if current[1] != recorded[1]:
                    return f"{path} was changed"
                if current[0] != recorded[0]:
                    touched[path] = current
        missing = (manifest.files.keys() | manifest.links.keys()) - paths
        if missing:
            return f"{min(missing)} is missing"
        if touched:
            self._store(folder, dataclasses.replace(manifest, files={**manifest.files, **touched}))
        return ""

    def _path(self, folder: Path) -> Path:
        relative = folder.relative_to(self._root)
        return self._root / "manifests" / relative.parent / f"{relative.name}.json"

    def _store(self, folder: Path, manifest: TreeManifest) -> None:
        data = {
            "built": manifest.built,
            "tree": manifest.digest(),
            "files": {path: [*stamps, sha256] for path, (stamps, sha256) in manifest.files.items()},
            "links": manifest.links,
        }
        write_atomic(self._path(folder), stamp(json.dumps(data, separators=(",", ":"))))

    def _read(self, path: Path) -> tuple[_Stamp, str]:
        """Return stamp and sha256 of a file, read unless this process has read it."""
        began = time.time_ns()
        status = path.lstat()
        stamps = _stamp(status)
        known = self._hashes.get(stamps)
        if known is not None:
            return stamps, known
        digest = bytes.fromhex(sha256_of(path))
        text = base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=")
        size, modified, changed, inode = stamps
        if max(modified, changed) > began - _TICK_NS:
            return (size, modified, _UNKNOWN, inode), text
        with self._lock:
            self._hashes[stamps] = text
        return stamps, text


def _walk(tree: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all files and links below a folder with their paths in it."""
    folders = [("", str(tree))]
    while folders:
        prefix, folder = folders.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append((f"{path}/", entry.path))
                else:
                    yield path, entry


def _stamp_of(entry: os.DirEntry[str]) -> _Stamp:
    if sys.platform == "win32":
        return _stamp(os.lstat(entry.path))  # entries have no inode there
    return _stamp(entry.stat(follow_symlinks=False))


def _stamp(status: os.stat_result) -> _Stamp:
    changed = _UNKNOWN if sys.platform == "win32" else status.st_ctime_ns
    return status.st_size, status.st_mtime_ns, changed, status.st_ino
