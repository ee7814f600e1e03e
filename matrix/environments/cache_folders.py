"""Folders named by what is in them: made once, beside their place, and put there by a rename.

Files of old releases, kept by their sha256, and the wheels that were made of sources.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.utils import parse_wheel_filename

from matrix.environments.errors import BuildError
from matrix.environments.lock import LockedFile
from matrix.environments.toolbox import Toolbox
from matrix.model.reason import Reason
from matrix.system.atomic import put_in_place

__all__ = ["Artifacts", "CacheFolders", "free_bytes_at", "put", "read_filename"]

_MARK = "matrix-environment.json"
_NEEDED_BYTES = 400 * 1024 * 1024
# Longer than any tool may run: what is older belongs to no one.
_SCRATCH_SECONDS = 24 * 3600

Mark = dict[str, Any]


def free_bytes_at(path: Path) -> int:
    """Return how much of the disk is free."""
    return shutil.disk_usage(path).free


def put(part: Path, folder: Path) -> None:
    """Give a finished folder its name, unless somebody was quicker, whose is as good.

    Raises OSError; what was not wanted any more stays where it was.
    """
    try:
        put_in_place(part, folder)
    except OSError:
        if not folder.is_dir():
            raise


class CacheFolders:
    """`<kind>s/<key>/` are finished ones, and only those; `.part-<key>` is one in the making, or
    was when somebody pulled the plug. Safe among threads and processes.
    """

    def __init__(self, tools: Toolbox, kind: str, free_bytes: Callable[[Path], int]) -> None:
        self._tools = tools
        self._kind = kind
        self._free_bytes = free_bytes
        self._home = tools.root / f"{kind}s"
        self._swept = False

    def path(self, key: str) -> Path:
        """Return where the folder of that key is, or would be."""
        return self._home / key

    def mark(self, key: str) -> Mark | None:
        """Return what was noted when the folder was finished, None where it is not."""
        try:
            mark = json.loads((self.path(key) / _MARK).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return mark if isinstance(mark, dict) else None

    def make(self, key: str, finished: Callable[[], bool], fill: Callable[[Path], Mark]) -> None:
        """Make the folder, unless somebody else did: `fill` fills it and returns its mark."""
        self.sweep()
        folder = self.path(key)
        part = folder.with_name(f".part-{key}")
        with self._tools.guard(f"{self._kind}-{key}"):
            if finished():
                return
            self.need_space()
            part.parent.mkdir(parents=True, exist_ok=True)
            for old in (part, folder):
                if old.exists():
                    shutil.rmtree(old)
            try:
                mark = fill(part)
                (part / _MARK).write_text(json.dumps(mark), "utf-8")
                put_in_place(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)

    def need_space(self) -> None:
        """Raise BuildError(DISK_FULL) where an environment might not fit."""
        root = self._tools.root
        root.mkdir(parents=True, exist_ok=True)
        free = self._free_bytes(root)
        if free < _NEEDED_BYTES:
            raise BuildError(
                Reason.DISK_FULL,
                f"{free // 2**20} MB are free at {root}, "
                f"an environment may need {_NEEDED_BYTES // 2**20} MB",
            )

    def sweep(self) -> None:
        """Once: remove what runs that were killed left behind."""
        if self._swept:
            return
        self._swept = True
        for scratch in (self._tools.root / "scratch").glob("*"):
            with contextlib.suppress(OSError):
                if time.time() - scratch.stat().st_mtime > _SCRATCH_SECONDS:
                    shutil.rmtree(scratch, ignore_errors=True)
        for part in self._home.glob(".part-*"):
            name = f"{self._kind}-{part.name.removeprefix('.part-')}"
            guard = self._tools.guard(name, wait=False)
            with contextlib.suppress(BuildError), guard:
                shutil.rmtree(part, ignore_errors=True)


class Artifacts:
    """`files/<sha256>/<name>` as published, `wheels/<builder>/<sha256>/<name>` as built."""

    def __init__(self, root: Path) -> None:
        self._files = root / "files"
        self._wheels = root / "wheels"

    def find(self, sha256: str) -> Path | None:
        """Return the published file of that hash, if it is here."""
        return _only(self._files / sha256) if sha256 else None

    def keep(self, path: Path) -> str:
        """Move a downloaded file in; return its sha256."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        _move(path, self._files / digest)
        return digest

    def find_wheel(self, builder: str, sha256: str) -> Path | None:
        """Return the wheel that `builder` made of the source of that hash, if it is here."""
        return _only(self._wheels / builder / sha256)

    def keep_wheel(self, builder: str, sha256: str, wheel: Path) -> Path:
        """Move a built wheel in; return where it is."""
        return _move(wheel, self._wheels / builder / sha256)


def read_filename(filename: str, sha256: str) -> LockedFile:
    """Return name and version that a wheel's file name tells, with the published file's hash.

    A source's file name does not tell them for sure: `functools32-3.2.3-2.zip`.
    """
    name, version = parse_wheel_filename(filename)[:2]
    return LockedFile(str(name), str(version), (sha256,))


def _only(folder: Path) -> Path | None:
    found = sorted(folder.glob("*")) if folder.is_dir() else []
    return found[0] if found else None


def _move(path: Path, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / path.name
    # First beside it, then by a rename: never half a file under the final name.
    part = folder.with_name(f".{folder.name}-{path.name}-{hash(str(path)):x}")
    shutil.move(path, part)
    put_in_place(part, target)
    return target
