"""Files of old releases, kept by their sha256, and the wheels that were made of sources."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from packaging.utils import parse_wheel_filename

from matrix.environments.lock import Locked
from matrix.replacing import put_in_place

__all__ = ["Artifacts", "read_filename"]


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


def read_filename(filename: str, sha256: str) -> Locked:
    """Return name and version that a wheel's file name tells, with the published file's hash.

    A source's file name does not tell them for sure: `functools32-3.2.3-2.zip`.
    """
    name, version = parse_wheel_filename(filename)[:2]
    return Locked(str(name), str(version), (sha256,))


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
