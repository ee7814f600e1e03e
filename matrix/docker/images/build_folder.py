"""POSIX only: a temporary folder to build an image in, removed after use.

The folder of a killed run is removed by the next build.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

if sys.platform == "win32":
    raise ImportError("POSIX only: the folder is locked by flock(2)")

import fcntl

from matrix.docker.images.mmdebstrap import BuildFolder

_PREFIX = "compat-matrix-image-"
_LOCK = "lock"
_YOUNG_SECONDS = 60.0
"""Longest time between the creation of a folder and the acquisition of its lock."""


@contextlib.contextmanager
def open_build_folder(parent: Path | None = None) -> Iterator[BuildFolder]:
    """Yield a new folder in `parent` (default: the system's folder for temporary files, $TMPDIR).

    Folders of dead runs are removed first.
    """
    parent = parent or Path(tempfile.gettempdir())
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    # In a user namespace of its own the tool is another user, and must get through.
    folder.chmod(0o711)
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield BuildFolder(folder, lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            status = folder.lstat()
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and _is_dead(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    try:
        lock = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > _YOUNG_SECONDS
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(lock)
