"""Labels of the engine's objects, and locks that show whether the run that made one is alive.

Each run holds a lock file in a folder of this machine. The operating system releases it when the
process ends, however it ends; so a run is dead when its lock can be acquired.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matrix.errors import storage_errors
from matrix.system.paths import cache_dir

if TYPE_CHECKING:
    from filelock import BaseFileLock


PROJECT = "compat-matrix.project"
RUN = "compat-matrix.run"
OWNER = "compat-matrix.owner"
ROLE = "compat-matrix.role"
CONTENT = "compat-matrix.content"
COMPLETE = "complete"

PROJECT_LABELS: Mapping[str, str] = {PROJECT: "compat-matrix"}
"""Labels of every object of the project. Images have no others: their content identifies them."""

PROJECT_FILTER = f"{PROJECT}={PROJECT_LABELS[PROJECT]}"
"""The engine's filter for objects with these labels."""


class RunLife(enum.Enum):
    """State of the run that made an object; UNKNOWN where it cannot be checked from here."""

    LIVING = "living"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class RunLabels:
    """A run's id and owner, for the labels of its objects; can be sent to worker processes."""

    id: str
    owner: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels of an object that this run makes."""
        return {**PROJECT_LABELS, RUN: self.id, OWNER: self.owner}


@contextlib.contextmanager
def lock_run(folder: Path | None = None) -> Iterator[RunLabels]:
    """Yield the labels of a new run, which lives until the block is left or the process ends.

    Locks lie in `folder` (default: the cache's `runs`). Raises StorageError.
    """
    folder = (folder or cache_dir() / "runs").absolute()
    run = secrets.token_hex(6)
    hint = "Name a writable folder in COMPAT_MATRIX_CACHE."
    with storage_errors(f"cannot write to {folder}", hint):
        folder.mkdir(parents=True, exist_ok=True)
        owner = f"{socket.gethostname()}:{_folder_nonce(folder)}:{folder}"
        lock = _create_lock(_lock_file(folder, run))
        lock.acquire(timeout=0)
    try:
        yield RunLabels(run, owner)
    finally:
        # Unlinked while locked: other processes find it locked or not at all.
        with contextlib.suppress(OSError):  # Windows does not unlink open files
            _lock_file(folder, run).unlink(missing_ok=True)
        lock.release()


def find_run_life(labels: Mapping[str, str]) -> RunLife:
    """Return the state of the run that wrote these labels.

    Only a lock of this host counts, and only in the same folder: the same path in another container
    or on another machine may be another folder.
    """
    host, _, rest = labels.get(OWNER, "").partition(":")
    nonce, _, path = rest.partition(":")
    run = labels.get(RUN, "")
    folder = Path(path)
    if host != socket.gethostname() or not run.isalnum() or not folder.is_absolute():
        return RunLife.UNKNOWN
    try:
        if (folder / "owner").read_text(encoding="ascii") != nonce:
            return RunLife.UNKNOWN
    except (OSError, ValueError):
        return RunLife.UNKNOWN
    return RunLife.LIVING if _is_locked(_lock_file(folder, run)) else RunLife.DEAD


def list_living_runs(folder: Path | None = None) -> tuple[str, ...]:
    """Return the ids of the living runs with a lock in this folder (default: the cache's)."""
    folder = folder or cache_dir() / "runs"
    return tuple(sorted(path.stem for path in folder.glob("*.lock") if _is_locked(path)))


def _lock_file(folder: Path, run: str) -> Path:
    return folder / f"{run}.lock"


def _is_locked(path: Path) -> bool:
    """Return whether a process has this lock; remove its file where none has."""
    if not path.exists():
        return False
    lock = _create_lock(path)
    try:
        lock.acquire(timeout=0)
    except OSError:  # locked, or of another user (not ours to open), who may be alive
        return True
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    lock.release()
    return False


def _create_lock(path: Path) -> BaseFileLock:
    import filelock  # noqa: PLC0415 - slow to import, and labels are read by many

    return filelock.FileLock(path)


def _folder_nonce(folder: Path) -> str:
    """Return the random id of a folder; the first process writes it, atomically."""
    path = folder / "owner"
    if not path.exists():
        temporary = folder / f"owner.{os.getpid()}.{secrets.token_hex(4)}"
        temporary.write_text(secrets.token_hex(8), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    return path.read_text(encoding="ascii")
