"""One run at a time in one results folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from matrix.errors import AnotherRunError, StorageError

__all__ = ["one_run"]


@contextlib.contextmanager
def one_run(folder: Path) -> Iterator[None]:
    """Hold the results folder; raise `AnotherRunError`, naming the process that holds it.

    The operating system lets go of the lock when the process ends, however it ends.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make {folder}: {error}", "Name a writable folder in COMPAT_MATRIX_RESULTS."
        ) from error
    told = folder / "run.pid"
    lock = filelock.FileLock(folder / "run.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise AnotherRunError(
            f"another run (process {_pid(told)}) is writing to {folder}",
            "Wait until it ends or stop it (Ctrl-C keeps what is done);"
            " COMPAT_MATRIX_RESULTS names another folder.",
        ) from None
    try:
        told.write_text(f"{os.getpid()}\n")
        yield
    finally:
        told.unlink(missing_ok=True)
        lock.release()


def _pid(told: Path) -> str:
    try:
        return told.read_text().strip() or "unknown"
    except OSError:
        return "unknown"
