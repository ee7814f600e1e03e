"""What the project leaves on the disk: by name, so that nothing else in the folder is touched."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from matrix.errors import StorageError

__all__ = ["CACHE", "RESULTS", "Leaving", "leavings", "strangers"]

CACHE = frozenset(
    {
        "environments",
        "images",
        "images.json",
        "images.json.lock",
        "index",
        "interpreters.json",
        "layouts.json",
        "runs",
        "trees",
    }
)
"""What lies in the cache's folder."""

RESULTS = frozenset(
    {
        "by-hand",
        "captures",
        "journal.jsonl",
        "kept",
        "manifest.json",
        "records",
        "run.lock",
        "run.pid",
        "scratch",
        "shards",
    }
)
"""What lies in the results' folder."""


@dataclasses.dataclass(frozen=True)
class Leaving:
    """One file or folder of ours."""

    path: Path

    @property
    def name(self) -> str:
        """Where it is."""
        return str(self.path)

    def size(self) -> int:
        """Return its bytes on the disk's account: what is linked twice counts once."""
        seen: set[tuple[int, int]] = set()
        total = 0
        for path in _below(self.path):
            with contextlib.suppress(OSError):
                found = path.lstat()
                if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    total += found.st_size
        return total

    def remove(self) -> None:
        """Remove it and all below; links are not followed. Raises StorageError."""
        try:
            if self.path.is_dir() and not self.path.is_symlink():
                shutil.rmtree(self.path, onerror=_writable_first)
            else:
                self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # others have things there
                self.path.parent.rmdir()
        except OSError as error:
            raise StorageError(
                f"cannot remove {self.path}: {error}", "Look at who owns it, and call again."
            ) from error


def leavings(folder: Path, names: frozenset[str]) -> tuple[Leaving, ...]:
    """Return what is there of these names."""
    return tuple(Leaving(path) for path in _entries(folder) if path.name in names)


def strangers(folder: Path, names: frozenset[str]) -> tuple[str, ...]:
    """Return what else is there."""
    return tuple(path.name for path in _entries(folder) if path.name not in names)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _below(path: Path) -> Iterator[Path]:
    yield path
    if path.is_symlink() or not path.is_dir():
        return
    for folder, _, files in os.walk(path):
        for name in files:
            yield Path(folder, name)


def _writable_first(remove: Callable[[str], object], path: str, _error: object) -> None:
    """Try again what was made read-only on purpose, with its folder writable."""
    for each in (os.path.dirname(path), path):  # noqa: PTH120
        with contextlib.suppress(OSError):
            if not os.path.islink(each):  # noqa: PTH114
                os.chmod(each, 0o700)  # noqa: PTH101
    if remove in (os.rmdir, os.unlink):
        remove(path)
    else:
        shutil.rmtree(path)
