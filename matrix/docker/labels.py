"""Whose an object of the engine is, and whether the run that made it lives: labels and locks.

Each run holds a lock file in a folder of this machine. The operating system lets go of it when the
process ends, however it ends; so a run is dead when its lock can be taken.
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

from matrix.errors import StorageError
from matrix.system.paths import cache_dir

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = [
    "COMPLETE",
    "CONTENT",
    "OWNER",
    "PROJECT",
    "PROJECT_LABELS",
    "ROLE",
    "RUN",
    "RunLabels",
    "RunLife",
    "hold_run",
    "life_of",
    "living_runs",
]

PROJECT = "compat-matrix.project"
RUN = "compat-matrix.run"
OWNER = "compat-matrix.owner"
ROLE = "compat-matrix.role"
CONTENT = "compat-matrix.content"
COMPLETE = "complete"

PROJECT_LABELS: Mapping[str, str] = {PROJECT: "compat-matrix"}
"""What every object has that the project made. Images have no more: their content names them."""


class RunLife(enum.Enum):
    """Whether the run that made an object lives; UNKNOWN where that cannot be told from here."""

    LIVING = "living"
    DEAD = "dead"
    UNKNOWN = "unknown"


@dataclasses.dataclass(frozen=True)
class RunLabels:
    """What a run writes on its objects. It can be handed to the run's worker processes."""

    id: str
    owner: str

    @property
    def labels(self) -> dict[str, str]:
        """The labels of an object that this run makes."""
        return {**PROJECT_LABELS, RUN: self.id, OWNER: self.owner}


@contextlib.contextmanager
def hold_run(folder: Path | None = None) -> Iterator[RunLabels]:
    """Give a new run, which lives until the block is left or the process ends.

    Locks lie in `folder` (default: the cache's `runs`). Raises StorageError.
    """
    folder = (folder or cache_dir() / "runs").absolute()
    run = secrets.token_hex(6)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        owner = f"{socket.gethostname()}:{_nonce(folder)}:{folder}"
        lock = _lock(_lock_file(folder, run))
        lock.acquire(timeout=0)
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error}", "Name a writable folder in COMPAT_MATRIX_CACHE."
        ) from error
    try:
        yield RunLabels(run, owner)
    finally:
        # Unlinked while it is held: whoever looks for it finds it held, or does not find it.
        with contextlib.suppress(OSError):  # Windows does not unlink what is open
            _lock_file(folder, run).unlink(missing_ok=True)
        lock.release()


def life_of(labels: Mapping[str, str]) -> RunLife:
    """Return whether the run lives that wrote these labels.

    Only a lock of this host counts, and only in the very folder that the run saw: the same path in
    another container or on another machine may be another folder.
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
    return RunLife.LIVING if _held(_lock_file(folder, run)) else RunLife.DEAD


def living_runs(folder: Path | None = None) -> tuple[str, ...]:
    """Return the runs that live and hold their locks in this folder (default: the cache's)."""
    folder = folder or cache_dir() / "runs"
    return tuple(sorted(path.stem for path in folder.glob("*.lock") if _held(path)))


def _lock_file(folder: Path, run: str) -> Path:
    return folder / f"{run}.lock"


def _held(path: Path) -> bool:
    if not path.exists():
        return False
    lock = _lock(path)
    try:
        lock.acquire(timeout=0)
    except OSError:  # held, or not ours to open: then of another user, who may live
        return True
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
    lock.release()
    return False


def _lock(path: Path) -> BaseFileLock:
    import filelock  # noqa: PLC0415 - slow to import, and labels are read by many

    return filelock.FileLock(path)


def _nonce(folder: Path) -> str:
    """Return what names this very folder; written once, whole, by whoever is first."""
    path = folder / "owner"
    if not path.exists():
        half = folder / f"owner.{os.getpid()}.{secrets.token_hex(4)}"
        half.write_text(secrets.token_hex(8), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            os.link(half, path)
        half.unlink()
    return path.read_text(encoding="ascii")
