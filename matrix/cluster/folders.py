"""The folder of a worker, for its cells; what a worker that was killed left there goes."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from matrix.errors import AnotherRunError
from matrix.journal import one_run

__all__ = ["own_folder"]


@contextlib.contextmanager
def own_folder(workers: Path) -> Iterator[Path]:
    """Yield a new folder in `workers` while it lasts; remove those that nobody holds any more."""
    for left in list(workers.iterdir()) if workers.is_dir() else ():
        with contextlib.suppress(AnotherRunError):
            with one_run(left):
                pass
            shutil.rmtree(left, ignore_errors=True)
    folder = workers / uuid.uuid4().hex[:12]
    try:
        with one_run(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
