"""The folder of a worker, for its cells; what a worker that was killed left there goes."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import filelock

from matrix.errors import AnotherRunError
from matrix.journal import one_run

__all__ = ["own_folder"]


@contextlib.contextmanager
def own_folder(workers: Path) -> Iterator[Path]:
    """Yield a new folder in `workers` while it lasts; remove those that nobody holds any more."""
    folder = workers / uuid.uuid4().hex[:12]
    try:
        with contextlib.ExitStack() as stack:
            # One worker after the other: a folder that nobody holds may be one that is just made.
            with _lock(workers):
                _clean(workers)
                stack.enter_context(one_run(folder))
            yield folder
    finally:
        with _lock(workers):
            shutil.rmtree(folder, ignore_errors=True)


def _clean(workers: Path) -> None:
    for left in workers.iterdir():
        if left.is_dir():
            with contextlib.suppress(AnotherRunError):
                with one_run(left):
                    pass
                shutil.rmtree(left, ignore_errors=True)


def _lock(workers: Path) -> filelock.FileLock:
    workers.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(workers / "workers.lock")
